package control

import (
	"strings"

	"adit/engine"
)

// A wish is what a stream is to carry beside deltas.
type wish struct {
	kinds  engine.Kinds
	heads  bool
	filter string // of requests
}

// requestKinds are the kinds of events that a filter of requests selects from.
const requestKinds = engine.KindsAll &^ engine.KindsLifecycle

func (w wish) covers(other wish) bool {
	return other.kinds&^w.kinds == 0 && (w.heads || !other.heads) &&
		(w.filter == "" || w.filter == other.filter || other.kinds&requestKinds == 0)
}

// with returns what both want together.
func (w wish) with(other wish) wish {
	if other.kinds&requestKinds != 0 {
		if w.kinds&requestKinds == 0 {
			w.filter = other.filter
		} else if w.filter != other.filter {
			w.filter = ""
		}
	}
	w.kinds |= other.kinds
	w.heads = w.heads || other.heads
	return w
}

// kindsText writes a set of kinds as a parameter.
func kindsText(set engine.Kinds) string {
	switch set {
	case engine.KindsAll:
		return "all"
	case engine.KindsRequests:
		return "requests"
	case engine.KindsLifecycle:
		return "lifecycle"
	}
	var names []string
	for k := engine.KindReady; k <= engine.KindStopped; k++ {
		if set.Has(k) {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, ",")
}
