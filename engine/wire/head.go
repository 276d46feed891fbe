package wire

import "strings"

// AppendRequest appends the payload of a REQUEST record. Like every Append
// function it does not validate: see CheckRequest.
func AppendRequest(dst []byte, r *Request) []byte {
	dst = appendVarint(dst, r.Route)
	dst = appendString(dst, r.Method)
	dst = appendString(dst, r.Scheme)
	dst = appendString(dst, r.Authority)
	dst = appendString(dst, r.Path)
	return appendFields(dst, r.Fields)
}

// AppendResponse appends the payload of a RESPONSE record.
func AppendResponse(dst []byte, r *Response) []byte {
	dst = appendVarint(dst, uint64(r.Status))
	dst = appendVarint(dst, r.Connect)
	dst = appendVarint(dst, r.FirstByte)
	return appendFields(dst, r.Fields)
}

// AppendTrailers appends the payload of a TRAILERS record.
func AppendTrailers(dst []byte, fields []Field) []byte { return appendFields(dst, fields) }

func appendFields(dst []byte, fields []Field) []byte {
	dst = appendVarint(dst, uint64(len(fields)))
	for i := range fields {
		dst = appendString(dst, fields[i].Name)
		dst = appendString(dst, fields[i].Value)
	}
	return dst
}

func fieldsSize(fields []Field) int {
	n := varintSize(uint64(len(fields)))
	for i := range fields {
		n += stringSize(fields[i].Name) + stringSize(fields[i].Value)
	}
	return n
}

// ParseRequest reads the payload of a REQUEST record. Like every parser of a
// head it copies what it keeps, so that payload may be reused, and its errors
// wrap ErrFraming (1002), ErrTooBig (a head beyond MaxHead or MaxFields: 1002
// too, counted apart) or ErrHTTP (RESET 8, see CheckRequest).
func ParseRequest(payload []byte) (*Request, error) {
	const op = "parse REQUEST"
	if len(payload) > MaxHead {
		return nil, tooBig("head above 64 KiB").in(op)
	}
	cur := cursor{s: string(payload)}
	r := &Request{
		Route:     cur.varint(),
		Method:    cur.str(),
		Scheme:    cur.str(),
		Authority: cur.str(),
		Path:      cur.str(),
	}
	var err *ruleError
	if r.Fields, err = cur.fields(); err != nil {
		return nil, err.in(op)
	}
	if err = r.check(); err != nil {
		return nil, err.in(op)
	}
	return r, nil
}

// ParseResponse reads the payload of a RESPONSE record; see CheckResponse.
func ParseResponse(payload []byte) (*Response, error) {
	const op = "parse RESPONSE"
	if len(payload) > MaxHead {
		return nil, tooBig("head above 64 KiB").in(op)
	}
	cur := cursor{s: string(payload)}
	status := cur.varint()
	r := &Response{
		Status:    int(min(status, 1000)), // beyond three digits all are alike
		Connect:   cur.varint(),
		FirstByte: cur.varint(),
	}
	var err *ruleError
	if r.Fields, err = cur.fields(); err != nil {
		return nil, err.in(op)
	}
	if err = r.check(); err != nil {
		return nil, err.in(op)
	}
	return r, nil
}

// ParseTrailers reads the payload of a TRAILERS record; see CheckTrailers.
func ParseTrailers(payload []byte) ([]Field, error) {
	const op = "parse TRAILERS"
	if len(payload) > MaxHead {
		return nil, tooBig("trailer section above 64 KiB").in(op)
	}
	cur := cursor{s: string(payload)}
	fields, err := cur.fields()
	if err != nil {
		return nil, err.in(op)
	}
	if err = checkTrailers(fields); err != nil {
		return nil, err.in(op)
	}
	return fields, nil
}

// CheckRequest applies to what is about to be sent the rules that ParseRequest
// applies to what came: ErrTooBig, or ErrHTTP for
//   - a method that is no token (RFC 9110 §9.1), or CONNECT;
//   - a scheme that is neither http nor https;
//   - an authority that is empty, has user information, or is not host[:port]
//     (RFC 9110 §4.2);
//   - a path that is neither "/…" in visible ASCII without a fragment nor, with
//     OPTIONS, "*" (RFC 9112 §3.2);
//   - a field that is not valid or not carried, or a second or invalid
//     content-length.
//
// upgrade is allowed: whether the request has content, which forbids it, is not
// in the head.
func CheckRequest(r *Request) error {
	const op = "check request"
	size := varintSize(r.Route) + stringSize(r.Method) + stringSize(r.Scheme) +
		stringSize(r.Authority) + stringSize(r.Path) + fieldsSize(r.Fields)
	if err := checkSize(size, len(r.Fields)); err != nil {
		return err.in(op)
	}
	if err := r.check(); err != nil {
		return err.in(op)
	}
	return nil
}

// CheckResponse is CheckRequest for a response: ErrHTTP for a status that has not
// three digits (RFC 9110 §15; those above 599 are in use), for upgrade in anything but a 101, for a 101 without
// it (§15.2.2), and for the fields that CheckRequest refuses.
func CheckResponse(r *Response) error {
	const op = "check response"
	if r.Status < 0 {
		return invalid("status out of range").in(op)
	}
	size := varintSize(uint64(r.Status)) + varintSize(r.Connect) + varintSize(r.FirstByte) +
		fieldsSize(r.Fields)
	if err := checkSize(size, len(r.Fields)); err != nil {
		return err.in(op)
	}
	if err := r.check(); err != nil {
		return err.in(op)
	}
	return nil
}

// CheckTrailers is CheckRequest for a trailer section: ErrHTTP for a field that
// is not valid, not carried, or not for trailers (RFC 9110 §6.5.1).
func CheckTrailers(fields []Field) error {
	const op = "check trailers"
	if err := checkSize(fieldsSize(fields), len(fields)); err != nil {
		return err.in(op)
	}
	if err := checkTrailers(fields); err != nil {
		return err.in(op)
	}
	return nil
}

func checkSize(size, fields int) *ruleError {
	if size > MaxHead {
		return tooBig("head above 64 KiB")
	}
	if fields > MaxFields {
		return tooBig("more than 256 fields")
	}
	return nil
}

func (r *Request) check() *ruleError {
	if !isToken(r.Method) || r.Method == "CONNECT" {
		return invalid("method is not carried")
	}
	if r.Scheme != "http" && r.Scheme != "https" {
		return invalid("scheme is neither http nor https")
	}
	if _, ok := splitAuthority(r.Authority); !ok {
		return invalid("authority is not host[:port]")
	}
	if !isPath(r.Path) && (r.Path != "*" || r.Method != "OPTIONS") {
		return invalid("path is not origin-form")
	}
	upgrade, err := checkFields(r.Fields)
	if err != nil || !upgrade {
		return err
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; foldEqual(f.Name, "upgrade") && !MaySwitch(f.Value) {
			return invalid("upgrade to a protocol that carries requests")
		}
	}
	return nil
}

// MaySwitch reports whether the value of an Upgrade field is well-formed and names
// no protocol that carries further requests: HTTP (h2c, HTTP/2.0) or TLS, under
// which it would begin anew (RFC 2817). They would pass unseen by rules.
func MaySwitch(upgrade string) bool {
	for token := range strings.SplitSeq(upgrade, ",") {
		name, _, _ := strings.Cut(strings.Trim(token, " \t"), "/")
		if !isToken(name) || foldEqual(name, "h2c") || foldEqual(name, "http") || foldEqual(name, "tls") {
			return false
		}
	}
	return true
}

func (r *Response) check() *ruleError {
	if r.Status < 100 || r.Status > 999 {
		return invalid("status out of range")
	}
	upgrade, err := checkFields(r.Fields)
	if err != nil {
		return err
	}
	if upgrade != (r.Status == 101) {
		return invalid("upgrade goes with 101")
	}
	return nil
}
