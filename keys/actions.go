package keys

// An Action is a name that a key can be bound to. Names are stable.
type Action string

// Everywhere.
const (
	ScreenOverview    Action = "screen.overview"
	ScreenConnections Action = "screen.connections"
	ScreenRequests    Action = "screen.requests"
	ScreenEvents      Action = "screen.events"
	ScreenConfig      Action = "screen.config"
	PaneNext          Action = "pane.next"
	PanePrevious      Action = "pane.previous"
	PaneGrow          Action = "pane.grow"
	PaneShrink        Action = "pane.shrink"
	PaneZoom          Action = "pane.zoom"
	PanePreview       Action = "pane.preview"
	ItemNext          Action = "item.next"
	ItemPrevious      Action = "item.previous"
	MoveUp            Action = "move.up"
	MoveDown          Action = "move.down"
	MoveFirst         Action = "move.first"
	MoveLast          Action = "move.last"
	MovePageUp        Action = "move.page-up"
	MovePageDown      Action = "move.page-down"
	MoveLeft          Action = "move.left"
	MoveRight         Action = "move.right"
	Open              Action = "view.open"
	Back              Action = "view.back"
	Filter            Action = "view.filter"
	MatchNext         Action = "view.match-next"
	MatchPrevious     Action = "view.match-previous"
	Palette           Action = "view.palette"
	Help              Action = "view.help"
	Pause             Action = "view.pause"
	Follow            Action = "view.follow"
	Sort              Action = "view.sort"
	SortReverse       Action = "view.sort-reverse"
	Columns           Action = "view.columns"
	Tree              Action = "view.tree"
	Theme             Action = "view.theme"
	Mouse             Action = "view.mouse"
	Redraw            Action = "view.redraw"
	UTC               Action = "view.utc"
	Copy              Action = "view.copy"
	Write             Action = "view.write"
	Acknowledge       Action = "view.acknowledge"
	Suspend           Action = "app.suspend"
	Quit              Action = "app.quit"
)

// Lists.
const (
	Mark      Action = "mark.toggle"
	MarkRange Action = "mark.range"
	MarkAll   Action = "mark.all"
	Undo      Action = "view.undo"
)

// Connections and one connection.
const (
	Kill          Action = "conn.kill"
	Drain         Action = "conn.drain"
	Ban           Action = "client.ban"
	Unban         Action = "client.unban"
	DrainAll      Action = "app.drain"
	RawGreeting   Action = "conn.raw"
	Cancel        Action = "request.cancel"
	ResetCounters Action = "conn.reset"
)

// Requests and one request.
const (
	CopyCurl    Action = "request.curl"
	Reveal      Action = "request.reveal"
	Replay      Action = "request.replay"
	HAR         Action = "request.har"
	SaveContent Action = "request.save"
	Pretty      Action = "request.pretty"
	Hex         Action = "request.hex"
)

// What is kept of content.
const (
	CaptureClient  Action = "capture.client"
	CapturePath    Action = "capture.path"
	CaptureContent Action = "capture.content"
	CaptureHeads   Action = "capture.heads"
	CaptureOff     Action = "capture.off"
)

// An engine in another process.
const (
	Retry   Action = "link.retry"
	Details Action = "link.details"
)

// A recording. Pause is what stops it and lets it go on.
const (
	PlayBack       Action = "play.back"
	PlayForward    Action = "play.forward"
	PlayBackFar    Action = "play.back-far"
	PlayForwardFar Action = "play.forward-far"
	PlaySlower     Action = "play.slower"
	PlayFaster     Action = "play.faster"
	PlayFirst      Action = "play.first"
	PlayLast       Action = "play.last"
)

// Events.
const (
	Level    Action = "event.level"
	Bookmark Action = "event.bookmark"
)

// A Context is where a key is pressed. A key means one thing in one context; the
// innermost context that binds it wins.
type Context string

const (
	Everywhere  Context = "everywhere"
	List        Context = "list"        // anything with rows
	Connections Context = "connections" // rows that are connections or clients
	Connection  Context = "connection"  // the detail of one
	Requests    Context = "requests"
	Request     Context = "request" // the inspector of one
	Events      Context = "events"
	Config      Context = "config"
	Lost        Context = "lost" // while the link to an engine in another process is lost
	Play        Context = "play" // while a recording is shown
)
