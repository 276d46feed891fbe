package tui

import (
	"strconv"
	"time"

	"adit/tui/pane"
)

const (
	noteStays  = 4 * time.Second
	lostEvery  = time.Second
	keptFaults = 20
)

// notes are the lines that stand in the footer's place for a while. Those of
// faults stay until they are acknowledged.
type notes struct {
	text   string
	until  time.Time
	faults []string // the newest last

	lostSince uint64 // events that were lost and not yet told
	lostTold  time.Time
}

// add reports whether it was a fault that was not there already.
func (n *notes) add(s pane.Say, now time.Time) (fault bool) {
	if s.Bad {
		if k := len(n.faults); k > 0 && n.faults[k-1] == s.Text {
			return false // it is shown already
		}
		if len(n.faults) == keptFaults {
			n.faults = append(n.faults[:0], n.faults[1:]...)
		}
		n.faults = append(n.faults, s.Text)
		return true
	}
	n.text, n.until = s.Text, now.Add(noteStays)
	return false
}

// lost tells, at most once a second, how many events were not shown.
func (n *notes) lost(count uint64, now time.Time) {
	n.lostSince += count
	if now.Sub(n.lostTold) < lostEvery {
		return
	}
	n.add(pane.Say{Text: strconv.FormatUint(n.lostSince, 10) + " events not shown, too many at once; totals are exact"}, now)
	n.lostSince, n.lostTold = 0, now
}

// expire forgets what stood long enough and reports whether there was such.
func (n *notes) expire(now time.Time) bool {
	if n.text == "" || now.Before(n.until) {
		return false
	}
	n.text = ""
	return true
}

// acknowledge forgets the faults and reports whether there were any.
func (n *notes) acknowledge() bool {
	was := len(n.faults) > 0
	n.faults = nil
	return was
}

// line returns what is to be shown, "" if nothing is: news first, then the
// newest fault.
func (n *notes) line() (text string, bad bool, more int) {
	if n.text != "" {
		return n.text, false, 0
	}
	if k := len(n.faults); k > 0 {
		return n.faults[k-1], true, k - 1
	}
	return "", false, 0
}
