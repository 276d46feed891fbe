package tui

import (
	"strconv"
	"time"

	"adit/tui/pane"
)

const (
	noteStays  = 4 * time.Second
	newsLeast  = 1500 * time.Millisecond // of news that others wait behind
	keptNews   = 8
	lostEvery  = time.Second
	keptFaults = 20
)

// notes are the lines that stand in the footer's place for a while: the answer to
// what the operator did, at once; then news, which wait for one another; then
// faults, which stay until they are acknowledged.
type notes struct {
	text   string
	until  time.Time
	news   []string  // the first is shown
	told   time.Time // since when; zero: it is not yet
	faults []string  // the newest last

	lostSince uint64 // events that were lost and not yet told
	lostTold  time.Time
	lostText  string // as it was told last
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
	n.text, n.until, n.told = s.Text, now.Add(noteStays), time.Time{}
	return false
}

// tell adds what nobody here asked for. Where there is too much of it, what waits
// longest is left to Events.
func (n *notes) tell(text string) {
	if len(n.news) == keptNews {
		n.news = append(n.news[:1], n.news[2:]...)
	}
	n.news = append(n.news, text)
}

// lost tells, at most once a second and where nothing else is to be told, how many
// events were not shown.
func (n *notes) lost(count uint64, now time.Time) {
	n.lostSince += count
	if now.Sub(n.lostTold) < lostEvery || len(n.news) > 0 || n.text != "" && n.text != n.lostText {
		return
	}
	n.lostText = strconv.FormatUint(n.lostSince, 10) + " events not shown, too many at once; totals are exact"
	n.add(pane.Say{Text: n.lostText}, now)
	n.lostSince, n.lostTold = 0, now
}

// expire forgets what stood long enough and reports whether there was such.
func (n *notes) expire(now time.Time) bool {
	changed := n.text != "" && !now.Before(n.until)
	if changed {
		n.text = ""
	}
	if n.text != "" || len(n.news) == 0 {
		return changed
	}
	stays := noteStays
	if len(n.news) > 1 {
		stays = newsLeast
	}
	switch {
	case n.told.IsZero():
		n.told = now
	case now.Sub(n.told) >= stays:
		n.news, n.told = n.news[1:], now
	default:
		return changed
	}
	return true
}

// over has a fault that is not there any more told as what has been.
func (n *notes) over(fault, text string) {
	for i := range n.faults {
		if n.faults[i] == fault {
			n.faults[i] = text
		}
	}
}

// acknowledge forgets the faults and reports whether there were any.
func (n *notes) acknowledge() bool {
	was := len(n.faults) > 0
	n.faults = nil
	return was
}

// line returns what is to be shown, "" if nothing is.
func (n *notes) line() (text string, bad bool, more int) {
	if n.text != "" {
		return n.text, false, 0
	}
	if len(n.news) > 0 {
		return n.news[0], false, 0
	}
	if k := len(n.faults); k > 0 {
		return n.faults[k-1], true, k - 1
	}
	return "", false, 0
}
