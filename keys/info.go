package keys

import "slices"

// Groups of help, in its order.
const (
	GroupMove = "MOVE"
	GroupFind = "FIND"
	GroupAct  = "ACT"
	GroupCopy = "COPY / EXPORT"
	GroupView = "VIEW"
)

// Groups returns the groups of help in its order.
func Groups() []string { return []string{GroupMove, GroupFind, GroupAct, GroupCopy, GroupView} }

// An Info is what is to be said of an action.
type Info struct {
	Action   Action
	Contexts []Context // where it means something
	Short    string    // for the footer: "kill"
	Title    string    // for the palette: "kill… (asks)"
	Group    string    // of help: one of Groups
	Mutating bool      // acts on the engine: absent with --read-only
}

// In reports whether the action means something in c. What does so everywhere or
// in any list does so in what is inside of it.
func (i Info) In(c Context) bool {
	return slices.Contains(i.Contexts, c) || slices.Contains(i.Contexts, Everywhere) ||
		isList(c) && slices.Contains(i.Contexts, List)
}

func isList(c Context) bool { return c == List || c == Connections || c == Requests || c == Events }

// A Row is a line of help: actions that belong together.
type Row struct {
	Group   string
	Title   string
	Actions []Action
}

// Actions returns all of them, in the order of help.
func Actions() []Info { return slices.Clone(infos) }

// Of returns what is to be said of a.
func Of(a Action) Info {
	for i := range infos {
		if infos[i].Action == a {
			return infos[i]
		}
	}
	return Info{Action: a}
}

// Rows returns the lines of help. Every action is in one of them.
func Rows() []Row { return slices.Clone(rows) }

// Contexts returns all contexts, in the order of documentation.
func Contexts() []Context {
	return []Context{Everywhere, List, Connections, Connection, Requests, Request, Events, Config, Lost, Play}
}

var (
	everywhere = []Context{Everywhere}
	lists      = []Context{List}
	conns      = []Context{Connections, Connection}
	exchanges  = []Context{Requests, Request}
	playing    = []Context{Play}
)

var infos = []Info{
	{MoveDown, everywhere, "down", "next row", GroupMove, false},
	{MoveUp, everywhere, "up", "previous row", GroupMove, false},
	{MoveFirst, everywhere, "first", "first row", GroupMove, false},
	{MoveLast, everywhere, "last", "last row", GroupMove, false},
	{MovePageDown, everywhere, "page down", "half a page down", GroupMove, false},
	{MovePageUp, everywhere, "page up", "half a page up", GroupMove, false},
	{MoveLeft, everywhere, "left", "scroll columns to the left", GroupMove, false},
	{MoveRight, everywhere, "right", "scroll columns to the right", GroupMove, false},
	{PaneNext, everywhere, "pane", "next pane", GroupMove, false},
	{PanePrevious, everywhere, "previous pane", "previous pane", GroupMove, false},
	{ScreenOverview, everywhere, "overview", "screen 1: overview", GroupMove, false},
	{ScreenConnections, everywhere, "connections", "screen 2: connections", GroupMove, false},
	{ScreenRequests, everywhere, "requests", "screen 3: requests", GroupMove, false},
	{ScreenEvents, everywhere, "events", "screen 4: events", GroupMove, false},
	{ScreenConfig, everywhere, "config", "screen 5: config", GroupMove, false},
	{ItemPrevious, everywhere, "prev", "previous item", GroupMove, false},
	{ItemNext, everywhere, "next", "next item", GroupMove, false},
	{Open, everywhere, "open", "open what is selected", GroupMove, false},
	{Back, everywhere, "back", "back, or clear filter and marks", GroupMove, false},

	{Filter, everywhere, "filter", "filter this view, or search in it", GroupFind, false},
	{MatchNext, everywhere, "match", "next match", GroupFind, false},
	{MatchPrevious, everywhere, "previous match", "previous match", GroupFind, false},
	{Palette, everywhere, "cmd", "command palette", GroupFind, false},
	{Help, everywhere, "help", "help", GroupFind, false},
	{Sort, everywhere, "sort", "sort by the next column", GroupFind, false},
	{SortReverse, everywhere, "reverse", "sort the other way", GroupFind, false},
	{Columns, everywhere, "columns", "columns…", GroupFind, false},
	{Tree, everywhere, "tree", "tree / flat", GroupFind, false},
	{Follow, everywhere, "follow", "follow the newest", GroupFind, false},
	{Pause, everywhere, "pause", "pause the screen", GroupFind, false},
	{Level, []Context{Events}, "level", "least level shown", GroupFind, false},

	{Mark, lists, "mark", "mark row", GroupAct, false},
	{MarkRange, lists, "range", "mark range", GroupAct, false},
	{MarkAll, lists, "mark all", "mark all that the filter shows", GroupAct, false},
	{Kill, conns, "kill", "kill… (asks)", GroupAct, true},
	{Drain, conns, "drain", "drain, then close (asks)", GroupAct, true},
	{Cancel, []Context{Connection, Requests, Request}, "cancel", "cancel stream… (kills one request)", GroupAct, true},
	{Ban, conns, "ban", "ban client… (asks)", GroupAct, true},
	{Unban, []Context{Connections}, "unban", "lift a ban… (asks)", GroupAct, true},
	{DrainAll, everywhere, "drain all", "drain everything, then end (asks)", GroupAct, true},
	{Replay, exchanges, "replay", "replay… (asks)", GroupAct, true},
	{CaptureClient, conns, "content", "capture this client's content on / off", GroupAct, true},
	{CapturePath, exchanges, "content", "capture this path's content on / off", GroupAct, true},
	{CaptureContent, everywhere, "all content", "capture content: everything (asks)", GroupAct, true},
	{CaptureHeads, everywhere, "heads", "capture content: heads only", GroupAct, true},
	{CaptureOff, everywhere, "no capture", "capture content: off", GroupAct, true},
	{Undo, lists, "undo", "undo (unmark, filter)", GroupAct, false},
	{Bookmark, []Context{Events}, "bookmark", "bookmark event", GroupAct, false},
	{Retry, []Context{Lost}, "retry now", "retry the link now", GroupAct, false},
	{Acknowledge, everywhere, "acknowledge", "acknowledge errors", GroupAct, false},

	{Copy, everywhere, "copy", "copy…", GroupCopy, false},
	{CopyCurl, []Context{Requests, Request}, "curl", "copy as curl", GroupCopy, false},
	{Write, []Context{Requests, Events}, "write", "write to file…", GroupCopy, false},
	{HAR, exchanges, "HAR", "export HAR…", GroupCopy, false},
	{SaveContent, exchanges, "save content", "save content to a file…", GroupCopy, false},
	{Reveal, []Context{Requests, Request}, "reveal", "reveal secrets", GroupCopy, false},

	{PaneGrow, everywhere, "grow", "grow pane", GroupView, false},
	{PaneShrink, everywhere, "shrink", "shrink pane", GroupView, false},
	{PaneZoom, everywhere, "zoom", "zoom pane", GroupView, false},
	{PanePreview, everywhere, "preview", "preview on / off", GroupView, false},
	{RawGreeting, conns, "raw", "greeting as it was received", GroupView, false},
	{ResetCounters, conns, "reset", "reset the counters shown", GroupView, false},
	{Pretty, []Context{Request}, "pretty", "content pretty / as it came", GroupView, false},
	{Hex, []Context{Request}, "hex", "content as hex", GroupView, false},
	{Details, []Context{Lost}, "details", "what is known of the link", GroupView, false},
	{PlayBack, playing, "-1s", "one second back", GroupMove, false},
	{PlayForward, playing, "+1s", "one second on", GroupMove, false},
	{PlayBackFar, playing, "-1m", "one minute back", GroupMove, false},
	{PlayForwardFar, playing, "+1m", "one minute on", GroupMove, false},
	{PlayFirst, playing, "start", "to the start of the recording", GroupMove, false},
	{PlayLast, playing, "end", "to the end of the recording", GroupMove, false},
	{PlaySlower, playing, "slower", "half the speed", GroupView, false},
	{PlayFaster, playing, "faster", "twice the speed", GroupView, false},
	{Theme, everywhere, "theme", "theme…", GroupView, false},
	{UTC, everywhere, "UTC", "times in UTC / local", GroupView, false},
	{Mouse, everywhere, "mouse", "mouse on / off", GroupView, false},
	{Redraw, everywhere, "redraw", "redraw", GroupView, false},
	{Suspend, everywhere, "suspend", "suspend", GroupView, false},
	{Quit, everywhere, "quit", "quit / detach", GroupView, false},
}

var rows = []Row{
	{GroupMove, "row", []Action{MoveDown, MoveUp}},
	{GroupMove, "first / last", []Action{MoveFirst, MoveLast}},
	{GroupMove, "half page", []Action{MovePageDown, MovePageUp}},
	{GroupMove, "scroll columns", []Action{MoveLeft, MoveRight}},
	{GroupMove, "next / prev pane", []Action{PaneNext, PanePrevious}},
	{GroupMove, "screen", []Action{ScreenOverview, ScreenConnections, ScreenRequests, ScreenEvents, ScreenConfig}},
	{GroupMove, "prev / next item", []Action{ItemPrevious, ItemNext}},
	{GroupMove, "open", []Action{Open}},
	{GroupMove, "back / clear", []Action{Back}},
	{GroupMove, "recording: 1 s", []Action{PlayBack, PlayForward}},
	{GroupMove, "recording: 1 min", []Action{PlayBackFar, PlayForwardFar}},
	{GroupMove, "recording: start / end", []Action{PlayFirst, PlayLast}},

	{GroupFind, "filter / search in it", []Action{Filter}},
	{GroupFind, "next / prev match", []Action{MatchNext, MatchPrevious}},
	{GroupFind, "command palette", []Action{Palette}},
	{GroupFind, "sort column / reverse", []Action{Sort, SortReverse}},
	{GroupFind, "columns…", []Action{Columns}},
	{GroupFind, "tree / flat", []Action{Tree}},
	{GroupFind, "follow tail", []Action{Follow}},
	{GroupFind, "pause screen", []Action{Pause}},
	{GroupFind, "level", []Action{Level}},
	{GroupFind, "help", []Action{Help}},

	{GroupAct, "mark row", []Action{Mark}},
	{GroupAct, "mark range", []Action{MarkRange}},
	{GroupAct, "mark all filtered", []Action{MarkAll}},
	{GroupAct, "kill… (asks)", []Action{Kill}},
	{GroupAct, "drain, then close", []Action{Drain}},
	{GroupAct, "cancel stream…", []Action{Cancel}},
	{GroupAct, "ban / unban client…", []Action{Ban, Unban}},
	{GroupAct, "drain all… (asks)", []Action{DrainAll}},
	{GroupAct, "replay… (asks)", []Action{Replay}},
	{GroupAct, "content of client / path", []Action{CaptureClient, CapturePath}},
	{GroupAct, "all content / heads / off", []Action{CaptureContent, CaptureHeads, CaptureOff}},
	{GroupAct, "retry the link", []Action{Retry}},
	{GroupAct, "undo (unmark, filter)", []Action{Undo}},
	{GroupAct, "bookmark", []Action{Bookmark}},
	{GroupAct, "acknowledge errors", []Action{Acknowledge}},

	{GroupCopy, "copy…", []Action{Copy}},
	{GroupCopy, "copy as curl", []Action{CopyCurl}},
	{GroupCopy, "write to file", []Action{Write}},
	{GroupCopy, "export HAR", []Action{HAR}},
	{GroupCopy, "save content", []Action{SaveContent}},
	{GroupCopy, "reveal secrets", []Action{Reveal}},

	{GroupView, "grow / shrink pane", []Action{PaneGrow, PaneShrink}},
	{GroupView, "zoom pane", []Action{PaneZoom}},
	{GroupView, "preview on / off", []Action{PanePreview}},
	{GroupView, "content pretty / hex", []Action{Pretty, Hex}},
	{GroupView, "the link", []Action{Details}},
	{GroupView, "recording: speed", []Action{PlaySlower, PlayFaster}},
	{GroupView, "raw greeting", []Action{RawGreeting}},
	{GroupView, "theme…", []Action{Theme}},
	{GroupView, "reset counters", []Action{ResetCounters}},
	{GroupView, "UTC / local times", []Action{UTC}},
	{GroupView, "mouse on / off", []Action{Mouse}},
	{GroupView, "redraw", []Action{Redraw}},
	{GroupView, "suspend", []Action{Suspend}},
	{GroupView, "quit / detach", []Action{Quit}},
}
