// Package pane is what the dashboard and its screens know of each other: the
// frame that screens are drawn from, what they want fetched for the next one,
// and what they ask for. Screens import it; it imports none of them.
package pane

import (
	"context"
	"os/exec"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
)

// A Class is a class of layouts by the size of the terminal.
type Class uint8

const (
	Tiny    Class = iota // below 60x15: the card of vital signs
	Compact              // 60 to 99 columns or 15 to 29 rows
	Normal               // from 100x30
	Wide                 // from 160x48
)

// String returns the class in lower case: "tiny".
func (c Class) String() string { return [...]string{"tiny", "compact", "normal", "wide"}[min(c, Wide)] }

// ClassOf returns the class of a terminal of w by h cells.
func ClassOf(w, h int) Class {
	switch {
	case w < 60 || h < 15:
		return Tiny
	case w < 100 || h < 30:
		return Compact
	case w < 160 || h < 48:
		return Normal
	}
	return Wide
}

// A Frame is what there is to draw at one moment. The dashboard sets all of it;
// only tests leave parts out. It belongs to the goroutine of the dashboard; screens
// only read it and keep no pointer into it after Draw.
type Frame struct {
	Now         time.Time
	Class       Class
	Width       int // of the terminal
	Height      int
	Theme       *themes.Theme
	Glyphs      *themes.Glyphs
	Keys        *keys.Map
	UTC         bool // show times in UTC
	ReadOnly    bool
	Paused      bool             // the screen stands still: Snapshot and requests are those of then
	Until       engine.RequestID // while Paused: the newest record that the screen shows
	EventsUntil uint64           // while Paused: position after the newest event that it shows
	Stale       time.Time        // since when the data is old; zero: it is not

	// Clock is that of this machine (see Wall). Now is that of the data: of the
	// recording, or of the engine in another process.
	Clock    time.Time
	Link     *engine.Link     // to an engine in another process; nil: it is in this one
	Playback *engine.Playback // of a recording; nil: it happens now
	Attached int              // operators that are attached, one's self included when Link is not nil; 0: nobody, or unknown

	Store Store // what keeps the records

	// Gaps are the times of which there is no data, the oldest first.
	Gaps []Gap

	Snapshot *engine.Snapshot
	Meter    *observe.Meter // its i-th gauge is of Snapshot.Connections[i]
	Rows     *Rows
	Events   *EventLog
	Settings []engine.Setting
	Problems []keys.Problem
	Commands []string // lines for a shell that the operator can try: what starts a client, what the demo offers
	Memory   Memory
}

// A Store is what is known of where records are kept.
type Store struct {
	Known    bool
	Kept     int    // in the log
	Capacity int    // of it
	Stored   int    // in the history behind it
	Lost     uint64 // records that the log was too slow for
	Problem  string // why nothing is written to the history now, and what to do; "" it is, or there is none
}

// A Gap is a time of which there is no data, by the clock of the data.
type Gap struct {
	From, To  time.Time
	Restarted bool // and then another process counted anew
}

// A Marking is a screen on which rows can be marked.
type Marking interface {
	// Forget takes away the marks whose targets are gone, or all of them, and
	// returns how many that were.
	Forget(f *Frame, all bool) int
}

// A Capturable is a screen on which something stands whose content can be kept.
type Capturable interface {
	// Captures returns the filter of requests for what is under the cursor, a
	// client for CaptureClient and a path for CapturePath, and in words what it
	// selects; "" if there is none.
	Captures(a keys.Action, f *Frame) (filter, what string)
}

// Counted reports whether the counters of frames and bytes mean something: the
// history of a run, unlike what record writes, has none.
func (f *Frame) Counted() bool {
	if f.Playback == nil || f.Snapshot == nil {
		return true
	}
	t := &f.Snapshot.Totals
	return t.FramesIn.Total()+t.FramesOut.Total() > 0 || t.BytesIn+t.BytesOut > 0
}

// A Listing is a screen that asks the log of requests for every frame, so that the
// dashboard need not.
type Listing interface {
	// Page returns the page that is shown, nil before the first.
	Page() *engine.RequestPage

	// Newest returns the newest record that is known, 0 if none is.
	Newest() engine.RequestID
}

// Wall returns the time of this machine, as what the operator does is timed by.
func (f *Frame) Wall() time.Time {
	if f.Clock.IsZero() {
		return f.Now
	}
	return f.Clock
}

// A Memory keeps what the operator chose (columns, sizes, saved filters) from one
// run to the next. Get of what was never set is "".
type Memory interface {
	Get(name string) string
	Set(name, value string)
}

// A Row is one event as it is shown.
type Row struct {
	Event   engine.Event // of a row that stands for a gap only Time is set
	Level   observe.Level
	Source  string // as it came from the network: drawing makes it harmless
	Text    string // likewise
	Marked  bool   // bookmarked
	Dropped uint64 // events that were lost here; not 0: the row stands for a gap
	Break   bool   // nothing is known of what happened here: between two runs, or while a link was lost
}

// Stands reports whether the row stands for something that is not there.
func (r *Row) Stands() bool { return r.Dropped > 0 || r.Break }

// A Screen is one of the five, or what was opened from one.
type Screen interface {
	// Contexts are the key contexts of what has the focus, innermost first,
	// without Everywhere.
	Contexts(f *Frame) []keys.Context

	// Crumbs say where this is, below the screen's own name: "edge-1", "c-17".
	Crumbs(f *Frame) []string

	// Status is the word at the right of the second row where the screen knows
	// better than LIVE or PAUSED: "frozen", "SAMPLED 1 in 40"; "" else.
	Status(f *Frame) string

	// Hints are the actions that the footer shows, the most useful first; the
	// dashboard looks up their keys and drops what does not fit, but for help.
	Hints(f *Frame) []keys.Action

	// Wants are what is to be fetched for the next frame.
	Wants(f *Frame) []Want

	// Draw draws the screen, all of a.
	Draw(a canvas.Area, f *Frame)

	// Do does what a key or the palette asks for. Handled is false if the
	// screen has no such action now; then the dashboard may know it.
	Do(a keys.Action, f *Frame) (effect Effect, handled bool)

	// Off says why an action of Do is not possible now, "" if it is: for the
	// palette.
	Off(a keys.Action, f *Frame) string

	// Mouse does what a click, double click, wheel or drag in the area of the
	// last Draw asks for.
	Mouse(m Mouse, f *Frame) Effect
}

// An Overlay is what stands over a screen and takes all keys while it is open.
type Overlay interface {
	// Update takes a key, a paste or a mouse event of Bubble Tea (coordinates of
	// the canvas). Open is false when the overlay is done.
	Update(msg tea.Msg, f *Frame) (effect Effect, open bool)

	// Draw draws it over a, which is the whole canvas, and reports where the
	// terminal's cursor belongs, if it does.
	Draw(a canvas.Area, f *Frame) (x, y int, cursor bool)

	// Hints are what the footer says meanwhile.
	Hints(f *Frame) []Hint
}

// A Hint is a key and what it does, for the footer.
type Hint struct{ Key, Text string }

// A Filtered is a screen whose rows a filter narrows.
type Filtered interface {
	Subject() filter.Subject
	Filter() string
	SetFilter(text string) // one that parses
	Matches() Matches
	Values(field string) []Value // seen values for completion, the most frequent first
}

// A Value is a value that was seen, and how often.
type Value = filter.Seen

// A Want is something that is fetched off the loop, with the snapshot of the
// next frame. Fetch and Deliver are never called at the same time.
type Want interface {
	Fetch(ctx context.Context, s Source) // not on the dashboard's goroutine: touches nothing that Draw reads
	Deliver(f *Frame)                    // on it
}

// A Source is where a frame comes from.
type Source struct {
	Engine engine.Engine
	Log    engine.RequestLog
}

// A Mouse is one event of the mouse; coordinates are of the canvas.
type Mouse struct {
	X, Y   int
	Kind   MouseKind
	Amount int // Wheel: rows, down is positive
}

// A MouseKind says what happened.
type MouseKind uint8

const (
	Click MouseKind = iota + 1
	DoubleClick
	Wheel
	Drag    // moved with the left button down, after a Click
	Release // of the left button
)

// A ConnectionSequence is the order in which connections are gone through.
type ConnectionSequence interface {
	// Step returns the connection that stands by rows after id, false if there
	// is none, or id is not there.
	Step(id engine.ConnectionID, by int) (engine.ConnectionID, bool)
}

// An Effect is what a screen asks the dashboard for; nil: nothing.
type Effect interface{ effect() }

type (
	// GoTo shows one of the five screens.
	GoTo struct {
		Screen keys.Action // ScreenOverview ... ScreenConfig
		Filter string      // to be set there, if not ""
	}
	// OpenConnection shows the detail of one connection.
	OpenConnection struct {
		ID   engine.ConnectionID
		From ConnectionSequence // the list that it stands in; may be nil
	}
	// OpenRequest shows the inspector.
	OpenRequest struct {
		ID   engine.RequestID
		From Sequence // the list that it stands in; may be nil
	}
	// OpenComparison shows the answer to a replay beside that to the original.
	OpenComparison struct{ Original, Replay engine.RequestID }
	// Choose opens a menu; it does what the chosen option says.
	Choose struct {
		Title   string
		Lines   []string // what is to be said before
		Options []Option
	}
	// AskText asks for a line of text. Then is called on the dashboard's goroutine.
	AskText struct {
		Title, Text string
		Then        func(text string) Effect
	}
	// GoBack leaves what was opened.
	GoBack struct{}
	// Ask opens the dialog before an action on the engine.
	Ask struct {
		Action      keys.Action // Kill, Drain, Ban, Unban, DrainAll, Cancel
		Connections []engine.ConnectionID
		Clients     []string
		Requests    []engine.RequestID
		Hidden      int // of these, marked but not shown, because a filter hides them

		Replays []engine.Replay // with keys.Replay: what is sent, instead of Requests
		Refused []string        // with Replays: what of the marked can't be sent, and why
	}
	// Say shows a line for a few seconds.
	Say struct {
		Text string
		Bad  bool // stays until it is acknowledged
	}
	// CopyText offers texts for the clipboard, one directly, more by a menu.
	CopyText struct{ Choices []Choice }
	// WriteFile asks for a file name and writes what Content returns. Content is
	// called off the dashboard's goroutine: it touches nothing that Draw reads.
	WriteFile struct {
		Name    string
		Content func() []byte
		// Fetch is called instead where it is not nil: what a file is made of
		// may have to be asked for.
		Fetch func(context.Context, Source) ([]byte, error)
	}
	// ChooseColumns opens the menu of columns.
	ChooseColumns struct {
		Columns []Column
		Apply   func([]Column)
	}
	// Run does an action as if its key had been pressed.
	Run struct{ Action keys.Action }
	// UseTheme shows a theme; with Keep it is remembered.
	UseTheme struct {
		Name string
		Keep bool
	}
	// EditFilter opens the filter line of the screen, which is [Filtered].
	EditFilter struct{}
	// Exec gives the terminal to another program until that ends: an editor.
	// Then the dashboard does what Done returned, which may be nil.
	Exec struct {
		Command *exec.Cmd
		Done    func(err error) Effect
	}
	// Perform runs what takes time off the dashboard's goroutine, for at most
	// 10 s; then the dashboard does what it returned. Do touches nothing that
	// Draw reads.
	Perform struct {
		Do func(ctx context.Context, s Source, operator string) Effect
	}
)

// A Sequence is a list that one item was opened from, for going to the next and
// previous one without going back to it.
type Sequence interface {
	// Wants are what the list wants fetched while it is not shown itself.
	Wants(f *Frame) []Want

	// Step moves the list's cursor from a request by so many rows and returns
	// the one that it stands on then; false if there is none.
	Step(id engine.RequestID, by int) (engine.RequestID, bool)

	// Marked reports whether a request is marked.
	Marked(id engine.RequestID) bool
}

// An Option is one of the things to choose.
type Option struct {
	Title, Note string
	Off         string // why it can't be chosen; "" it can
	Effect      Effect
}

// A Choice is one thing to copy.
type Choice struct{ Title, Text string }

// A Column is one of the columns that can be shown.
type Column struct {
	Name, Title string
	Shown       bool
}

func (GoTo) effect()           {}
func (OpenConnection) effect() {}
func (OpenRequest) effect()    {}
func (OpenComparison) effect() {}
func (Choose) effect()         {}
func (AskText) effect()        {}
func (GoBack) effect()         {}
func (Ask) effect()            {}
func (Say) effect()            {}
func (CopyText) effect()       {}
func (WriteFile) effect()      {}
func (ChooseColumns) effect()  {}
func (EditFilter) effect()     {}
func (Run) effect()            {}
func (UseTheme) effect()       {}
func (Exec) effect()           {}
func (Perform) effect()        {}
