// Package doctor looks for what keeps a tunnel from working, or will: from the
// private side the way to a server and to what a client reaches, on the public
// side what a server would start with. It changes nothing and every probe is
// bounded in time. It knows the WebSocket library, because it asks of a way what
// the tunnel never would.
//
// Start here.
package doctor

import (
	"time"
)

// A Severity says how bad a finding is. The greater one is the worse.
type Severity uint8

const (
	OK      Severity = iota + 1 // as it should be
	Note                        // worth knowing; or why something could not be probed
	Warning                     // works now, and will not always, or not for everybody
	Failure                     // does not work
)

// String returns the word that --json has.
func (s Severity) String() string {
	switch s {
	case OK:
		return "ok"
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Failure:
		return "failure"
	}
	return "unknown"
}

// A Finding is what one probe has found. Its texts hold no credential, and what
// others have sent in them is bounded; whoever shows them on a terminal makes
// them printable.
type Finding struct {
	Check    string        // which probe: "dns", "tcp", "tls", "idle"; a word of [a-z-]
	Subject  string        // what was probed, if there are several: a server's URL, a destination, a file
	Severity Severity      //
	Found    string        // what is: "an idle WebSocket is cut after 25 s"; a sentence without a full stop
	Means    string        // what that does to the tunnel; "" nothing that Found does not say
	Change   string        // what to do about it, with the line to type where there is one; "" nothing
	Settings []string      // which settings that changes, by their names in a file: "ping"; nil none
	Took     time.Duration // how long the probe took; 0 where that says nothing
}

// Worst returns the greatest severity, OK for none.
func Worst(all []Finding) Severity {
	worst := OK
	for i := range all {
		worst = max(worst, all[i].Severity)
	}
	return worst
}
