package wire

import (
	"slices"
	"strconv"
	"strings"
)

// maxClassicHead is the most bytes of a wsp head; real programs set no limit.
const maxClassicHead = 256 << 10

// ClassicRequest is wsp's head of a request.
type ClassicRequest struct {
	Method        string
	URL           string              // absolute; its authority is the Host
	Header        map[string][]string // nil for null
	ContentLength int64               // -1 unknown
}

// ClassicResponse is wsp's head of a response.
type ClassicResponse struct {
	StatusCode    int                 // 527: the request was not performed
	Header        map[string][]string // nil for null
	ContentLength int64               // -1 unknown
}

// AppendClassicGreeting appends "<id>_<poolsize>". In the id every _ becomes -,
// because real servers split at the first one.
func AppendClassicGreeting(dst []byte, id string, pool int) []byte {
	for i := range len(id) {
		c := id[i]
		if c == '_' {
			c = '-'
		}
		dst = append(dst, c)
	}
	dst = append(dst, '_')
	return strconv.AppendInt(dst, int64(pool), 10)
}

// ParseClassicGreeting splits a greeting at its last underscore: id of 1–128
// visible ASCII characters, pool size 0–100,000.
func ParseClassicGreeting(text []byte) (id string, pool int, err error) {
	const op = "parse wsp greeting"
	if len(text) > MaxGreeting {
		return "", 0, tooBig("greeting above 4 KiB").in(op)
	}
	s := string(text)
	split := strings.LastIndexByte(s, '_')
	if split < 0 {
		return "", 0, framing("no underscore").in(op)
	}
	id = s[:split]
	if !isID(id) {
		return "", 0, framing("id is not 1 to 128 visible ASCII characters").in(op)
	}
	n, ok := parseLength(s[split+1:])
	if !ok || n > maxPool {
		return "", 0, framing("pool size is not 0 to 100000").in(op)
	}
	return id, int(n), nil
}

// AppendClassicRequest appends the JSON head of a request as the real programs
// write it, but for <, > and &, which it does not escape. A value that is not
// UTF-8 can't be carried: its bytes become U+FFFD, as they do there.
func AppendClassicRequest(dst []byte, r *ClassicRequest) []byte {
	dst = append(dst, `{"Method":`...)
	dst = appendJSON(dst, r.Method)
	dst = append(dst, `,"URL":`...)
	dst = appendJSON(dst, r.URL)
	return appendClassicRest(dst, r.Header, r.ContentLength)
}

// AppendClassicResponse is AppendClassicRequest for a response.
func AppendClassicResponse(dst []byte, r *ClassicResponse) []byte {
	dst = append(dst, `{"StatusCode":`...)
	dst = strconv.AppendInt(dst, int64(r.StatusCode), 10)
	return appendClassicRest(dst, r.Header, r.ContentLength)
}

func appendClassicRest(dst []byte, header map[string][]string, length int64) []byte {
	dst = append(dst, `,"Header":`...)
	if header == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendHeader(dst, header)
	}
	dst = append(dst, `,"ContentLength":`...)
	dst = strconv.AppendInt(dst, length, 10)
	return append(dst, '}')
}

// appendHeader sorts the names, as encoding/json does; a usual number of them on
// the stack.
func appendHeader(dst []byte, header map[string][]string) []byte {
	var stack [32]string
	names := stack[:0]
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)

	dst = append(dst, '{')
	for _, name := range names {
		dst = appendMember(dst, name)
		dst = append(dst, '[')
		for i, value := range header[name] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, value)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// ParseClassicRequest reads a wsp request head: a method other than CONNECT, an
// absolute http or https URL without user information, valid fields, no more
// than 256 values, a content length from -1. Members are matched exactly and
// unknown ones ignored; Header and its lists may be null. ErrFraming, ErrTooBig
// or ErrHTTP.
func ParseClassicRequest(text []byte) (*ClassicRequest, error) {
	const op = "parse wsp request"
	r, err := newJSONReader(text, maxClassicHead)
	if err != nil {
		return nil, err.in(op)
	}
	head := &ClassicRequest{}
	var once members
	err = r.object(func(name string) (err *ruleError) {
		if !once.first(name, classicRequestMembers[:]) {
			return framing("member given twice")
		}
		switch name {
		case "Method":
			head.Method, err = r.str()
		case "URL":
			head.URL, err = r.str()
		case "Header":
			head.Header, err = r.header()
		case "ContentLength":
			head.ContentLength, err = r.integer()
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
	case !isToken(head.Method) || head.Method == "CONNECT":
		err = invalid("method is not carried")
	case !isURL(head.URL):
		err = invalid("url is not an absolute http url")
	default:
		err = checkClassic(head.Header, head.ContentLength)
	}
	if err != nil {
		return nil, err.in(op)
	}
	return head, nil
}

// ParseClassicResponse is ParseClassicRequest for a response, whose status is
// 200–999: wsp carries no informational response.
func ParseClassicResponse(text []byte) (*ClassicResponse, error) {
	const op = "parse wsp response"
	r, err := newJSONReader(text, maxClassicHead)
	if err != nil {
		return nil, err.in(op)
	}
	head := &ClassicResponse{}
	var status int64
	var once members
	err = r.object(func(name string) (err *ruleError) {
		if !once.first(name, classicResponseMembers[:]) {
			return framing("member given twice")
		}
		switch name {
		case "StatusCode":
			status, err = r.integer()
		case "Header":
			head.Header, err = r.header()
		case "ContentLength":
			head.ContentLength, err = r.integer()
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
	case status < 200 || status > 999:
		err = invalid("status out of range")
	default:
		err = checkClassic(head.Header, head.ContentLength)
	}
	if err != nil {
		return nil, err.in(op)
	}
	head.StatusCode = int(status)
	return head, nil
}

var (
	classicRequestMembers  = [...]string{"Method", "URL", "Header", "ContentLength"}
	classicResponseMembers = [...]string{"StatusCode", "Header", "ContentLength"}
)

// header reads a map from names to lists of values. The lists share one array.
func (r *jsonReader) header() (map[string][]string, *ruleError) {
	if r.null() {
		return nil, nil
	}
	header := map[string][]string{}
	all := make([]string, 0, 16)
	count := 0
	err := r.object(func(name string) *ruleError {
		if _, twice := header[name]; twice {
			return framing("member given twice")
		}
		start := len(all)
		if !r.null() {
			err := r.array(func() *ruleError {
				if len(all) == MaxFields {
					return tooBig("more than 256 fields")
				}
				value, err := r.str()
				all = append(all, value)
				return err
			})
			if err != nil {
				return err
			}
		}
		// A name without values counts too, so that names are bounded.
		if count += max(1, len(all)-start); count > MaxFields {
			return tooBig("more than 256 fields")
		}
		header[name] = all[start:len(all):len(all)]
		return nil
	})
	return header, err
}

// checkClassic applies the rules for fields that hold in wsp, which carries
// connection-specific fields too: who converts the head removes them.
func checkClassic(header map[string][]string, length int64) *ruleError {
	if length < -1 {
		return invalid("content length below -1")
	}
	lengths := 0
	for name, values := range header {
		if !isToken(name) {
			return invalid("field name is no token")
		}
		for _, value := range values {
			if !isFieldValue(value) {
				return invalid("field value with a control character")
			}
		}
		if classify(name) != fieldContentLength {
			continue
		}
		if lengths += len(values); lengths > 1 {
			return invalid("second content-length")
		}
		for _, value := range values {
			if _, ok := parseLength(value); !ok {
				return invalid("content-length is no length")
			}
		}
	}
	return nil
}

// isURL reports whether s is an absolute http or https URL with a host and
// without user information, in visible ASCII (RFC 9110 §4.2). A fragment is
// allowed, since real servers send it on; it ends the target.
func isURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "http://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "https://"); !ok {
			return false
		}
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	_, ok = splitAuthority(authority)
	return ok && isVisible(rest)
}
