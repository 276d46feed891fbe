package wire

import (
	"strings"

	"adit/engine"
)

// The members that a text message has at most once.
var (
	helloMembers = [...]string{"type", "id", "pool_size", "version", "hostname", "os", "arch",
		"instance", "expose", "labels", "limits", "features"}
	welcomeMembers = [...]string{"type", "connection", "server", "version", "ping_interval_ms",
		"limits", "urls", "features"}
	textMembers   = [...]string{"type", "reason"}
	limitMembers  = [...]string{"max_exchanges", "window"}
	exposeMembers = [...]string{"host", "tcp"}
)

// members is the set of known members that were seen: two parties must never
// read one message differently because a member stands in it twice.
type members uint32

// first reports whether name is seen for the first time or not known.
func (m *members) first(name string, known []string) bool {
	for i, k := range known {
		if k == name {
			bit := members(1) << i
			seen := *m&bit != 0
			*m |= bit
			return !seen
		}
	}
	return true
}

// text reads a string of at most 256 bytes. It is cloned: a greeting lives long
// and must not hold on to the 64 KiB it came in.
func (r *jsonReader) text(into *string) *ruleError {
	s, err := r.str()
	if err != nil {
		return err
	}
	if len(s) > engine.MaxText {
		return framing("string above 256 bytes")
	}
	*into = strings.Clone(s)
	return nil
}

func (r *jsonReader) bounded(into *int, low, high int) *ruleError {
	n, err := r.integer()
	if err != nil {
		return err
	}
	if n < int64(low) || n > int64(high) {
		return framing("number out of range")
	}
	*into = int(n)
	return nil
}

func (r *jsonReader) clamped(into *int, low, high int) *ruleError {
	n, err := r.integer()
	if err != nil {
		return err
	}
	*into = int(min(max(n, int64(low)), int64(high)))
	return nil
}

func (r *jsonReader) limits(exchanges, window *int) *ruleError {
	var once members
	return r.object(func(name string) *ruleError {
		if !once.first(name, limitMembers[:]) {
			return framing("member given twice")
		}
		switch name {
		case "max_exchanges":
			return r.clamped(exchanges, 1, maxExchanges)
		case "window":
			return r.clamped(window, minWindow, maxWindow)
		}
		return r.skip()
	})
}

func (r *jsonReader) expose(g *engine.Greeting) *ruleError {
	if len(g.Expose) == maxExpose {
		return framing("more than 256 routes")
	}
	var e engine.Expose
	var once members
	err := r.object(func(name string) *ruleError {
		if !once.first(name, exposeMembers[:]) {
			return framing("member given twice")
		}
		switch name {
		case "host":
			if err := r.text(&e.Host); err != nil {
				return err
			}
			if !isLabel(e.Host) {
				return framing("host is not one DNS label")
			}
			e.Host = strings.ToLower(e.Host)
			return nil
		case "tcp":
			var port int
			err := r.bounded(&port, 1, 65535)
			e.TCP = uint16(port)
			return err
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	if (e.Host == "") == (e.TCP == 0) {
		return framing("a route is either a host or a tcp port")
	}
	g.Expose = append(g.Expose, e)
	return nil
}

// isLabel reports whether s is one DNS label (RFC 1123 §2.1).
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

func (r *jsonReader) labels(g *engine.Greeting) *ruleError {
	g.Labels = map[string]string{}
	return r.object(func(name string) *ruleError {
		if len(name) > engine.MaxText {
			return framing("string above 256 bytes")
		}
		if _, twice := g.Labels[name]; twice {
			return framing("member given twice")
		}
		if len(g.Labels) == maxLabels {
			return framing("more than 64 labels")
		}
		var value string
		if err := r.text(&value); err != nil {
			return err
		}
		g.Labels[strings.Clone(name)] = value
		return nil
	})
}

func (r *jsonReader) url(w *Welcome) *ruleError {
	if len(w.URLs) == maxExpose {
		return framing("more than 256 urls")
	}
	s, err := r.str()
	if err != nil {
		return err
	}
	if len(s) > maxURL {
		return framing("url above 512 bytes")
	}
	w.URLs = append(w.URLs, strings.Clone(s))
	return nil
}

// features reads the names of features, of which one is known.
func (r *jsonReader) features(exposedOnly *bool) *ruleError {
	return r.array(func() *ruleError {
		name, err := r.str()
		if name == featureExposedOnly {
			*exposedOnly = true
		}
		return err
	})
}
