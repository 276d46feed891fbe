package policy

import (
	"fmt"
	"strconv"
	"strings"

	"adit/engine"
)

// A Scope bounds what an identity may do.
//
// IDs are the clients that it may be (a client) or be served by (a caller); none
// is no bound. Hosts, Ports and Destinations are what it may expose and carry (a
// client), or reach (a caller): with none of the three everything, and as soon as
// one of them is named nothing but what is named. Who may only expose one name
// must not carry what callers choose as well.
type Scope struct {
	IDs          []string // client ids, with * for any run of characters
	Hosts        []string // exposed names, with * likewise
	Ports        []string // exposed TCP ports: PORT or FIRST-LAST
	Destinations []string // what callers may choose, as --allow takes it

	ready bool // what follows is made of what stands above
	ports []portRange
	rules *Rules
}

// NewScope returns a scope that can be asked. Its error names what is wrong.
func NewScope(ids, hosts, ports, destinations []string) (*Scope, error) {
	s := &Scope{IDs: ids, Hosts: hosts, Ports: ports, Destinations: destinations}
	return s, s.compile()
}

func (s *Scope) compile() error {
	if s.ready {
		return nil
	}
	for _, l := range []struct {
		name  string
		items []string
	}{{"ids", s.IDs}, {"hosts", s.Hosts}, {"ports", s.Ports}, {"destinations", s.Destinations}} {
		if len(l.items) > maxList {
			return fmt.Errorf("%s has %d items, at most %d may be", l.name, len(l.items), maxList)
		}
		for _, v := range l.items {
			if v == "" || len(v) > 512 || !isPlain(v) {
				return fmt.Errorf("%s: %q: want 1 to 512 bytes of one line", l.name, engine.Bound(v))
			}
		}
	}
	for _, v := range s.Hosts {
		if strings.IndexFunc(v, func(r rune) bool {
			return r != '*' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) >= 0 {
			return fmt.Errorf("hosts: %q is no exposed name: one DNS label, as in app or app-*", engine.Bound(v))
		}
	}
	for _, v := range s.Ports {
		r, err := parsePorts(v)
		if err != nil {
			return fmt.Errorf("ports: %w", err)
		}
		s.ports = append(s.ports, r)
	}
	if len(s.Destinations) > 0 {
		set := RuleSet{Allow: s.Destinations, Server: true}
		var err error
		if s.rules, err = set.Compile(); err != nil {
			return fmt.Errorf("destinations: %w", err)
		}
	}
	s.ready = true
	return nil
}

// everything reports whether the scope bounds nothing.
func (s *Scope) everything() bool { return s == nil || len(s.IDs) == 0 && s.anything() }

// anything reports whether hosts, ports and destinations are without bound.
func (s *Scope) anything() bool {
	return len(s.Hosts) == 0 && len(s.Ports) == 0 && len(s.Destinations) == 0
}

// ID reports whether a client id is within the scope; of a nil Scope, as with
// what follows, all are.
func (s *Scope) ID(id string) bool {
	return s == nil || len(s.IDs) == 0 || matchesAny(s.IDs, id, false)
}

// Host reports whether an exposed name, one label, is.
func (s *Scope) Host(label string) bool {
	return s == nil || s.anything() || matchesAny(s.Hosts, label, true)
}

// Port reports whether an exposed TCP port is.
func (s *Scope) Port(port uint16) bool {
	if s == nil || s.anything() {
		return true
	}
	for _, r := range s.ports {
		if r.has(port) {
			return true
		}
	}
	return false
}

// AnyDestination reports whether all destinations that a caller chose are: nothing
// need be asked about them.
func (s *Scope) AnyDestination() bool { return s == nil || s.anything() }

// Destination reports whether a destination that a caller chose is. Who asks does
// not resolve names: an address or CIDR of the scope stands for what is written as
// an address only.
func (s *Scope) Destination(q *Query) bool {
	if s.AnyDestination() {
		return true
	}
	if s.rules == nil {
		return false
	}
	_, err := s.rules.Check(q)
	return err == nil
}

// String describes the scope for people: "ids edge-*; hosts app", "everything".
func (s *Scope) String() string {
	if s.everything() {
		return "everything"
	}
	var parts []string
	for _, l := range []struct {
		name  string
		items []string
	}{{"ids", s.IDs}, {"hosts", s.Hosts}, {"ports", s.Ports}, {"destinations", s.Destinations}} {
		if len(l.items) > 0 {
			parts = append(parts, l.name+" "+strings.Join(l.items, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// Refuse says which part of what a client registers with is outside the scope, ""
// where all of it is inside. The text has room in a closing handshake.
func (s *Scope) Refuse(id string, expose []engine.Expose) string {
	if !s.ID(id) {
		return "client id " + short(id) + " is outside the scope of its credential"
	}
	for i := range expose {
		e := &expose[i]
		switch {
		case e.TCP != 0 && !s.Port(e.TCP):
			return "tcp port " + strconv.Itoa(int(e.TCP)) + " is outside the scope of its credential"
		case e.TCP == 0 && !s.Host(e.Host):
			return "host " + short(e.Host) + " is outside the scope of its credential"
		}
	}
	return ""
}

// short quotes a name that a peer chose, cut.
func short(name string) string {
	if len(name) > 40 {
		name = strings.ToValidUTF8(name[:40], "") + "..."
	}
	return strconv.Quote(name)
}

func matchesAny(patterns []string, s string, fold bool) bool {
	for _, p := range patterns {
		if fold {
			p, s = strings.ToLower(p), strings.ToLower(s)
		}
		if matches(p, s) {
			return true
		}
	}
	return false
}

// matches holds s against a pattern in which * stands for any run of characters.
// It takes time in proportion to the product of their lengths at most.
func matches(pattern, s string) bool {
	p, i, star, from := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
