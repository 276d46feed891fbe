package command

import (
	"strconv"

	"adit/engine/observe"
)

// appendName appends a comma, unless it begins an object, and a name.
func appendName(b []byte, name string) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
}

// appendMember appends a member of an object, nothing where value is "".
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return observe.AppendString(appendName(b, name), value)
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(b, name), n, 10)
}

// appendFlag appends a member that is true, nothing where it is not.
func appendFlag(b []byte, name string, is bool) []byte {
	if !is {
		return b
	}
	return append(appendName(b, name), "true"...)
}

// appendTexts appends a JSON array.
func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, t := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = observe.AppendString(b, t)
	}
	return append(b, ']')
}

// appendTextAlways appends a member of an object, also where value is "".
func appendTextAlways(b []byte, name, value string) []byte {
	return observe.AppendString(appendName(b, name), value)
}
