package keys

// Names of the default sets.
const (
	SetVim   = "vim+arrows"
	SetEmacs = "emacs"
	SetBasic = "basic" // named keys and the digits of the screens
)

// Sets are the names of the default sets, the default first.
func Sets() []string { return []string{SetVim, SetEmacs, SetBasic} }

// A binding is what a set or a file says: these keys for that action there.
type binding struct {
	context Context
	action  Action
	keys    []string
}

// digits, which every set has as the tabs show them, and keys that mean the same
// everywhere.
var digits = []binding{
	{Everywhere, ScreenOverview, []string{"1"}},
	{Everywhere, ScreenConnections, []string{"2"}},
	{Everywhere, ScreenRequests, []string{"3"}},
	{Everywhere, ScreenEvents, []string{"4"}},
	{Everywhere, ScreenConfig, []string{"5"}},
	{Everywhere, PaneNext, []string{"tab"}},
	{Everywhere, PanePrevious, []string{"shift+tab"}},
	{Everywhere, Open, []string{"enter"}},
	{Everywhere, Suspend, []string{"ctrl+z"}},
	{List, Mark, []string{"space"}},
	{Play, Pause, []string{"space"}},
}

// letters are what vim+arrows and emacs share.
var letters = []binding{
	{Everywhere, ItemPrevious, []string{"["}},
	{Everywhere, ItemNext, []string{"]"}},
	{Everywhere, Filter, []string{"/"}},
	{Everywhere, MatchNext, []string{"n"}},
	{Everywhere, MatchPrevious, []string{"N"}},
	{Everywhere, Help, []string{"?", "f1"}},
	{Everywhere, Sort, []string{"s"}},
	{Everywhere, SortReverse, []string{"S"}},
	{Everywhere, Columns, []string{"o"}},
	{Everywhere, Tree, []string{"t"}},
	{Everywhere, Follow, []string{"f"}},
	{Everywhere, Pause, []string{"p"}},
	{Everywhere, PaneGrow, []string{"+"}},
	{Everywhere, PaneShrink, []string{"-"}},
	{Everywhere, PaneZoom, []string{"z"}},
	{Everywhere, PanePreview, []string{"P"}},
	{Everywhere, Copy, []string{"y"}},
	{Everywhere, Write, []string{"w"}},
	{Everywhere, Theme, []string{"T"}},
	{Everywhere, Mouse, []string{"M"}},
	{Everywhere, UTC, []string{"Z"}},
	{Everywhere, Redraw, []string{"ctrl+l", "f5"}},
	{Everywhere, Acknowledge, []string{"!"}},
	{Everywhere, DrainAll, []string{"D"}},
	{Everywhere, Quit, []string{"q", "ctrl+c"}},
	{List, MarkRange, []string{"v"}},
	{List, MarkAll, []string{"ctrl+a", "A"}},
	{List, Undo, []string{"u"}},
	{Connections, Kill, []string{"x"}},
	{Connections, Drain, []string{"X"}},
	{Connections, Ban, []string{"B"}},
	{Connections, Unban, []string{"U"}},
	{Connections, RawGreeting, []string{"r"}},
	{Connections, ResetCounters, []string{"0"}},
	{Connection, Kill, []string{"x"}},
	{Connection, Drain, []string{"X"}},
	{Connection, Cancel, []string{"K"}},
	{Connection, Ban, []string{"B"}},
	{Connection, RawGreeting, []string{"r"}},
	{Connection, ResetCounters, []string{"0"}},
	{Requests, CopyCurl, []string{"c"}},
	{Requests, Cancel, []string{"K"}},
	{Requests, Reveal, []string{"V"}},
	{Request, CopyCurl, []string{"c"}},
	{Request, Cancel, []string{"K"}},
	{Request, Reveal, []string{"V"}},
	{Requests, Replay, []string{"R"}},
	{Requests, HAR, []string{"e"}},
	{Requests, SaveContent, []string{"b"}},
	{Request, Replay, []string{"R"}},
	{Request, HAR, []string{"e"}},
	{Request, SaveContent, []string{"b"}},
	{Request, Pretty, []string{"a"}},
	{Request, Hex, []string{"H"}},
	{Events, Level, []string{"L"}},
	{Events, Bookmark, []string{"m"}},
	{Connections, CaptureClient, []string{"C"}},
	{Connection, CaptureClient, []string{"C"}},
	{Requests, CapturePath, []string{"C"}},
	{Request, CapturePath, []string{"C"}},
	{Everywhere, CaptureContent, []string{"alt+c"}},
	{Everywhere, CaptureHeads, []string{"alt+h"}},
	{Everywhere, CaptureOff, []string{"alt+o"}},
	{Lost, Retry, []string{"r"}},
	{Lost, Details, []string{"d"}},
	{List, Mark, []string{"m"}}, // where space is taken
	{Play, PlayBack, []string{","}},
	{Play, PlayForward, []string{"."}},
	{Play, PlayBackFar, []string{"<"}},
	{Play, PlayForwardFar, []string{">"}},
	{Play, PlaySlower, []string{"("}},
	{Play, PlayFaster, []string{")"}},
	{Play, PlayFirst, []string{"home"}},
	{Play, PlayLast, []string{"end"}},
}

var vim = []binding{
	{Everywhere, MoveDown, []string{"j", "down"}},
	{Everywhere, MoveUp, []string{"k", "up"}},
	{Everywhere, MoveFirst, []string{"g", "home"}},
	{Everywhere, MoveLast, []string{"G", "end"}},
	{Everywhere, MovePageDown, []string{"ctrl+d", "pgdown"}},
	{Everywhere, MovePageUp, []string{"ctrl+u", "pgup"}},
	{Everywhere, MoveLeft, []string{"h", "left"}},
	{Everywhere, MoveRight, []string{"l", "right"}},
	{Everywhere, Palette, []string{":", "ctrl+p"}},
	{Everywhere, Back, []string{"esc"}},
}

var emacs = []binding{
	{Everywhere, MoveDown, []string{"ctrl+n", "down"}},
	{Everywhere, MoveUp, []string{"ctrl+p", "up"}},
	{Everywhere, MoveFirst, []string{"alt+<", "home"}},
	{Everywhere, MoveLast, []string{"alt+>", "end"}},
	{Everywhere, MovePageDown, []string{"ctrl+v", "pgdown"}},
	{Everywhere, MovePageUp, []string{"alt+v", "pgup"}},
	{Everywhere, MoveLeft, []string{"ctrl+b", "left"}},
	{Everywhere, MoveRight, []string{"ctrl+f", "right"}},
	{Everywhere, Palette, []string{"alt+x", ":"}},
	{Everywhere, Back, []string{"esc", "ctrl+g"}},
}

var basic = []binding{
	{Everywhere, MoveDown, []string{"down"}},
	{Everywhere, MoveUp, []string{"up"}},
	{Everywhere, MoveFirst, []string{"home"}},
	{Everywhere, MoveLast, []string{"end"}},
	{Everywhere, MovePageDown, []string{"pgdown"}},
	{Everywhere, MovePageUp, []string{"pgup"}},
	{Everywhere, MoveLeft, []string{"left"}},
	{Everywhere, MoveRight, []string{"right"}},
	{Everywhere, ItemPrevious, []string{"shift+left"}},
	{Everywhere, ItemNext, []string{"shift+right"}},
	{Everywhere, Back, []string{"esc"}},
	{Everywhere, Help, []string{"f1"}},
	{Everywhere, Acknowledge, []string{"shift+f1"}},
	{Everywhere, Palette, []string{"f2"}},
	{Everywhere, Write, []string{"shift+f2"}},
	{Everywhere, Filter, []string{"f3"}},
	{Everywhere, MatchNext, []string{"f4"}},
	{Everywhere, MatchPrevious, []string{"shift+f4"}},
	{Everywhere, Redraw, []string{"f5"}},
	{Everywhere, Mouse, []string{"shift+f5"}},
	{Everywhere, Sort, []string{"f6"}},
	{Everywhere, SortReverse, []string{"shift+f6"}},
	{Everywhere, Columns, []string{"f7"}},
	{Everywhere, Tree, []string{"shift+f7"}},
	{Everywhere, Pause, []string{"f8"}},
	{Everywhere, Follow, []string{"shift+f8"}},
	{Everywhere, Theme, []string{"f9"}},
	{Everywhere, UTC, []string{"shift+f9"}},
	{Everywhere, Quit, []string{"f10", "ctrl+c"}},
	{Everywhere, DrainAll, []string{"shift+f10"}},
	{Everywhere, PaneZoom, []string{"f12"}},
	{Everywhere, PanePreview, []string{"shift+f12"}},
	{Everywhere, PaneGrow, []string{"ctrl+down"}},
	{Everywhere, PaneShrink, []string{"ctrl+up"}},
	{Everywhere, Copy, []string{"insert"}},
	{List, MarkRange, []string{"shift+down"}},
	{List, MarkAll, []string{"shift+end"}},
	{List, Undo, []string{"backspace"}},
	{Connections, Kill, []string{"delete"}},
	{Connections, Drain, []string{"shift+delete"}},
	{Connections, Ban, []string{"ctrl+delete"}},
	{Connections, Unban, []string{"ctrl+home"}},
	{Connections, RawGreeting, []string{"f11"}},
	{Connections, ResetCounters, []string{"shift+f11"}},
	{Connection, Kill, []string{"delete"}},
	{Connection, Drain, []string{"shift+delete"}},
	{Connection, Cancel, []string{"ctrl+end"}},
	{Connection, Ban, []string{"ctrl+delete"}},
	{Connection, RawGreeting, []string{"f11"}},
	{Connection, ResetCounters, []string{"shift+f11"}},
	{Requests, CopyCurl, []string{"shift+f3"}},
	{Requests, Cancel, []string{"ctrl+end"}},
	{Requests, Reveal, []string{"f11"}},
	{Request, CopyCurl, []string{"shift+f3"}},
	{Request, Cancel, []string{"ctrl+end"}},
	{Request, Reveal, []string{"f11"}},
	{Requests, Replay, []string{"ctrl+f1"}},
	{Requests, HAR, []string{"ctrl+f2"}},
	{Requests, SaveContent, []string{"ctrl+f3"}},
	{Request, Replay, []string{"ctrl+f1"}},
	{Request, HAR, []string{"ctrl+f2"}},
	{Request, SaveContent, []string{"ctrl+f3"}},
	{Request, Pretty, []string{"ctrl+f4"}},
	{Request, Hex, []string{"ctrl+f5"}},
	{Connections, CaptureClient, []string{"ctrl+f9"}},
	{Connection, CaptureClient, []string{"ctrl+f9"}},
	{Requests, CapturePath, []string{"ctrl+f9"}},
	{Request, CapturePath, []string{"ctrl+f9"}},
	{Everywhere, CaptureContent, []string{"ctrl+f10"}},
	{Everywhere, CaptureHeads, []string{"ctrl+f11"}},
	{Everywhere, CaptureOff, []string{"ctrl+f12"}},
	{Lost, Retry, []string{"f11"}},
	{Lost, Details, []string{"shift+f11"}},
	{List, Mark, []string{"ctrl+space"}}, // where space is taken
	{Play, PlayBack, []string{"ctrl+left"}},
	{Play, PlayForward, []string{"ctrl+right"}},
	{Play, PlayBackFar, []string{"alt+left"}},
	{Play, PlayForwardFar, []string{"alt+right"}},
	{Play, PlaySlower, []string{"alt+down"}},
	{Play, PlayFaster, []string{"alt+up"}},
	{Play, PlayFirst, []string{"ctrl+pgup"}},
	{Play, PlayLast, []string{"ctrl+pgdown"}},
	{Events, Level, []string{"f11"}},
	{Events, Bookmark, []string{"shift+f11"}},
}

func defaults(set string) ([]binding, bool) {
	switch set {
	case "", SetVim:
		return join(digits, letters, vim), true
	case SetEmacs:
		return join(digits, letters, emacs), true
	case SetBasic:
		return join(digits, basic), true
	}
	return nil, false
}

func join(parts ...[]binding) []binding {
	var all []binding
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
