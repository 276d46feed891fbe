package inspect

import (
	"strings"

	"adit/engine"
	"adit/engine/observe"
)

// Masked stands for a value that is not shown. It is ASCII: it goes to shells
// and files.
const Masked = "***"

// Secret reports whether the value of a field of that name is to be masked:
// credentials by their names (RFC 9110 §11, RFC 6265), and whatever sounds like
// one.
func Secret(name string) bool { return SecretEnd(name) >= 0 }

// SecretEnd returns where the first word of text ends that says secret, -1 if
// none does. In text that is not ASCII the place is one of its lower case.
func SecretEnd(text string) int {
	lower := strings.ToLower(text)
	end := -1
	for _, word := range [...]string{"authorization", "cookie", "token", "key", "secret", "password", "signature", "credential"} {
		if i := strings.Index(lower, word); i >= 0 && (end < 0 || i+len(word) < end) {
			end = i + len(word)
		}
	}
	return end
}

// Value returns what may be shown of the value of a field: all of it with
// secrets, nothing of one whose name says that it is secret or that is a
// credential by its scheme, of a field that holds a URL what [observe.Target]
// leaves, and of any other what [MaskText] does.
func Value(name, value string, secrets bool) string {
	if secrets {
		return value
	}
	if Secret(name) {
		return Masked
	}
	switch strings.ToLower(name) {
	case "referer", "location", "content-location", "origin", "x-proxy-destination":
		return observe.Target(value)
	case "sec-websocket-protocol": // where scripts put what they can't send otherwise
		if Secret(value) || strings.Contains(strings.ToLower(value), "bearer") {
			return Masked
		}
	}
	if isCredential(value) {
		return Masked
	}
	if strings.IndexByte(value, '=') < 0 && strings.IndexByte(value, '@') < 0 {
		return value // without a copy
	}
	return string(maskLoose([]byte(value)))
}

// isCredential reports whether a value is one of RFC 6750 or 7617, and not the
// challenge that asks for one.
func isCredential(value string) bool {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "basic") {
		return false
	}
	rest = strings.TrimRight(rest, "=")
	return rest != "" && strings.IndexFunc(rest, func(c rune) bool {
		return c > '~' || c < '0' && c != '-' && c != '.' && c != '+' && c != '/' || c > '9' && c < 'A' || c > 'Z' && c < 'a' && c != '_' || c > 'z' && c != '~'
	}) < 0
}

// MaskHead returns a head of [engine.Heads] with the values of secret fields
// masked. It is head itself where there is nothing to mask.
func MaskHead(head string) string {
	var b strings.Builder
	copied := 0
	for from := 0; from < len(head); {
		end := len(head)
		if i := strings.IndexByte(head[from:], '\n'); i >= 0 {
			end = from + i
		}
		name, value := fieldOf(head[from:end])
		if shown := Value(name, value, false); name != "" && shown != value {
			b.WriteString(head[copied:from])
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(shown)
			copied = end
		}
		from = end + 1
	}
	if copied == 0 {
		return head
	}
	b.WriteString(head[copied:])
	return b.String()
}

// MaskHeads returns h with both heads masked; h itself where there is nothing to
// mask.
func MaskHeads(h *engine.Heads) *engine.Heads {
	if h == nil {
		return nil
	}
	request, response := MaskHead(h.Request), MaskHead(h.Response)
	if request == h.Request && response == h.Response {
		return h
	}
	return &engine.Heads{Request: request, Response: response, Cut: h.Cut}
}

// fieldOf splits a line of a head; the name is "" if it is no field line.
func fieldOf(line string) (name, value string) {
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return "", line
	}
	return name, strings.Trim(value, " \t\r")
}

// Fields returns the field lines of a head of [engine.Heads].
func Fields(head string) []engine.Field {
	fields := make([]engine.Field, 0, strings.Count(head, "\n")+1)
	for line := range strings.SplitSeq(head, "\n") {
		if name, value := fieldOf(line); name != "" {
			fields = append(fields, engine.Field{Name: name, Value: value})
		}
	}
	return fields
}

// Get returns the value of the first field of that name in a head of
// [engine.Heads], "" if there is none. It does not allocate.
func Get(head, name string) string {
	for head != "" {
		line, rest, _ := strings.Cut(head, "\n")
		head = rest
		if n, value := fieldOf(line); strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}
