package observe

import (
	"encoding/hex"
	"strings"
	"testing"

	"adit/engine"
)

const (
	sampledParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	silentParent  = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func TestTraceparentThatIsReadWrongly(t *testing.T) {
	for _, c := range []struct {
		text        string
		ok, sampled bool
	}{
		{sampledParent, true, true},
		{silentParent, true, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true, true},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", true, false},
		{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true, true}, // of a later version
		{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like", true, true},
		{"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what", false, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false, false},
		{"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false},
		{"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false, false},
		{"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
		{"0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
		{"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false, false},
		{" " + sampledParent, false, false},
		{"", false, false},
	} {
		id, parent, sampled, ok := parseParent(c.text)
		if ok != c.ok || ok && (sampled != c.sampled || hex.EncodeToString(id[:]) != c.text[3:35] || hex.EncodeToString(parent[:]) != c.text[36:52]) {
			t.Errorf("%q: ok %v, sampled %v, %x %x", c.text, ok, sampled, id, parent)
		}
	}
}

func TestTraceThatBeginsInTheWrongPlace(t *testing.T) {
	all, none := NewTracer(1), NewTracer(0)
	for _, c := range []struct {
		what    string
		tracer  *Tracer
		parents []string
		traced  bool
		adds    bool
		flag    string
	}{
		{"the caller samples", none, []string{sampledParent}, true, false, ""},
		{"the caller does not sample", all, []string{silentParent}, false, false, ""},
		{"the caller says nothing", all, nil, true, true, "01"},
		{"nobody samples", none, nil, false, true, "00"},
		{"two say something", all, []string{sampledParent, sampledParent}, true, true, "01"},
		{"nonsense", all, []string{"nonsense"}, true, true, "01"},
	} {
		trace, add := c.tracer.Begin(c.parents, []string{"vendor=1", "other=2"})
		if (trace != nil) != c.traced || (add != "") != c.adds {
			t.Errorf("%s: %v, adds %q", c.what, trace, add)
			continue
		}
		if trace != nil && trace.Span == [8]byte{} {
			t.Errorf("%s: no span", c.what)
		}
		if !c.adds {
			if trace != nil && (hex.EncodeToString(trace.ID[:]) != sampledParent[3:35] || hex.EncodeToString(trace.Parent[:]) != sampledParent[36:52] || trace.State != "vendor=1,other=2") {
				t.Errorf("%s: %+v", c.what, trace)
			}
			continue
		}
		id, span, _, ok := parseParent(add)
		if !ok || add[53:] != c.flag {
			t.Errorf("%s: adds %q", c.what, add)
		}
		if trace != nil && (trace.ID != id || trace.Span != span || trace.Parent != [8]byte{} || trace.State != "") {
			t.Errorf("%s: adds %q for %+v", c.what, add, trace)
		}
	}
}

func TestSampleOfAnotherSize(t *testing.T) {
	tracer, traced := NewTracer(0.25), 0
	for range 10_000 {
		if at, _ := tracer.Begin(nil, nil); at != nil {
			traced++
		}
	}
	if traced < 2200 || traced > 2800 {
		t.Errorf("%d of 10,000, want a quarter", traced)
	}
}

func TestTraceStateThatIsNotOneToPassOn(t *testing.T) {
	for state, want := range map[string]string{
		"a=1": "a=1", "a=1\r\nx: y": "", "a=\xff": "", strings.Repeat("a", maxState): strings.Repeat("a", maxState), strings.Repeat("a", maxState+1): "",
	} {
		if got := stateOf([]string{state}); got != want {
			t.Errorf("%q becomes %q", state, got)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(sampledParent)
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x")
	f.Add("00-")
	f.Fuzz(func(t *testing.T, text string) {
		id, span, sampled, ok := parseParent(text)
		if !ok {
			return
		}
		again := formatParent(&engine.Trace{ID: id, Span: span}, sampled)
		if again[3:53] != text[3:53] {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}
