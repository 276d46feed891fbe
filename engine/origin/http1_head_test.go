package origin

import (
	"testing"

	"golang.org/x/net/http/httpguts"
)

// The checks of eight bytes at a time find every byte wherever it stands.
func TestByteClassesAreThoseOfHTTPGuts(t *testing.T) {
	for c := range 256 {
		for length := range 20 {
			for at := range length {
				b := make([]byte, length)
				for i := range b {
					b[i] = 'a'
				}
				b[at] = byte(c)
				s := string(b)
				if got, want := isValue(s), httpguts.ValidHeaderFieldValue(s); got != want || isValue(b) != want {
					t.Fatalf("%q: value %v, want %v", s, got, want)
				}
				if got, want := all(s, tokenByte), httpguts.ValidHeaderFieldName(s); got != want {
					t.Fatalf("%q: token %v, want %v", s, got, want)
				}
				if got, want := all(s, plainByte), c > ' ' && c < 0x7f; got != want {
					t.Fatalf("%q: plain %v, want %v", s, got, want)
				}
			}
		}
	}
}
