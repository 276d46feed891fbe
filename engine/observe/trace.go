package observe

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"

	"adit/engine"
)

// maxState is how much of a tracestate goes into a span: what the recommendation
// wants everybody to pass on.
const maxState = 512

// A Tracer decides which exchanges are traced, and goes on with the traces that
// others have begun (W3C Trace Context, level 1).
type Tracer struct{ sample float64 }

// NewTracer returns a tracer for a part of the requests, 0 to 1, whose sender has
// not decided.
func NewTracer(sample float64) *Tracer { return &Tracer{sample} }

// Begin reads the fields traceparent and tracestate of a request. It returns nil
// where the exchange is not to be traced: because the sender said so, or by chance.
// add is the traceparent that the request is to go on with, in place of what it has
// of both fields; "" where it has a valid one, which passes unchanged.
func (t *Tracer) Begin(parents, states []string) (trace *engine.Trace, add string) {
	var at engine.Trace
	binary.NativeEndian.PutUint64(at.Span[:], rand.Uint64()|1) // all zero is none
	sampled, told := false, len(parents) == 1
	if told {
		at.ID, at.Parent, sampled, told = parseParent(parents[0])
	}
	if told {
		if !sampled {
			return nil, ""
		}
		at.State = stateOf(states)
		return &at, ""
	}
	binary.NativeEndian.PutUint64(at.ID[:8], rand.Uint64()|1)
	binary.NativeEndian.PutUint64(at.ID[8:], rand.Uint64())
	sampled = rand.Float64() < t.sample
	add = formatParent(&at, sampled)
	if !sampled {
		return nil, add // who comes after is not to decide anew
	}
	return &at, add
}

// parentLength is how long a traceparent of version 00 is.
const parentLength = 55

// parseParent reads a traceparent as strictly as the recommendation wants it (§3.2,
// §4.3): one of a later version may be longer.
func parseParent(text string) (id [16]byte, parent [8]byte, sampled, ok bool) {
	if len(text) < parentLength || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return id, parent, false, false
	}
	var version, flags [1]byte
	if !lowerHex(version[:], text[:2]) || !lowerHex(id[:], text[3:35]) || !lowerHex(parent[:], text[36:52]) || !lowerHex(flags[:], text[53:55]) {
		return id, parent, false, false
	}
	switch {
	case version[0] == 0xff, id == [16]byte{}, parent == [8]byte{},
		version[0] == 0 && len(text) > parentLength,
		len(text) > parentLength && text[parentLength] != '-':
		return id, parent, false, false
	}
	return id, parent, flags[0]&1 != 0, true
}

// lowerHex decodes text, which has no capital letter, into all of b.
func lowerHex(b []byte, text string) bool {
	if strings.ContainsAny(text, "ABCDEF") {
		return false
	}
	n, err := hex.Decode(b, []byte(text))
	return err == nil && n == len(b)
}

func formatParent(at *engine.Trace, sampled bool) string {
	var b [parentLength]byte
	copy(b[:], "00-")
	hex.Encode(b[3:], at.ID[:])
	b[35] = '-'
	hex.Encode(b[36:], at.Span[:])
	copy(b[52:], "-00")
	if sampled {
		b[54] = '1'
	}
	return string(b[:])
}

// stateOf joins the fields tracestate; "" where it is not one to pass on.
func stateOf(states []string) string {
	state := strings.Join(states, ",")
	if len(state) > maxState || strings.ContainsFunc(state, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
		return ""
	}
	return strings.Clone(state)
}
