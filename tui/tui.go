// Package tui is the dashboard: one Bubble Tea model, and a folder for each
// screen. It knows an [engine.Engine] and an [engine.RequestLog], local or
// remote, and nothing of what is behind them.
package tui

import (
	"io"
	"log/slog"
	"time"

	"adit/engine"
)

// Options are what a dashboard needs.
type Options struct {
	Engine   engine.Engine
	Log      engine.RequestLog
	Operator string                  // who the audit events name
	Settings []engine.Setting        // for the Config screen
	Reloaded func() []engine.Setting // Settings after a reload, nil before one; must not wait. Nil: there is none
	Commands []string                // lines for a shell that are worth showing
	Logger   *slog.Logger            // never writes to the terminal

	Theme     string // name; "" or "auto": by the terminal's background
	Glyphs    string // "unicode", "block", "ascii"; "" or "auto": by the locale
	Color     string // "auto", "always", "never"
	KeySet    string // of package keys
	KeysFile  string // "" none
	ThemesDir string // "" none
	StateFile string // what the operator chose, kept from run to run; "" not kept
	FPS       int    // of the renderer; 0: 30
	Inline    bool   // without the alternate screen
	NoSync    bool   // without synchronised output
	NoMouse   bool
	ReadOnly  bool   // no action on the engine
	Filter    string // of the connections on the first screen; one that parses
	Remote    bool   // the engine is not in this process, or is a recording: quitting and suspending harm nothing

	// Attached returns how many operators are attached to a local engine by its
	// socket. Nil: nobody can be. A [engine.Linked] says so itself.
	Attached func() int

	Guard   []string // command that starts a process which calls restore.Main; nil: none
	Environ []string // of the terminal; nil: of this process
	Width   int      // of an output that is no terminal
	Height  int
	Probe   func(took time.Duration) // for measuring: told what each frame took, Update and View; may be nil

	Input     io.Reader
	Output    io.Writer
	LookupEnv func(string) (string, bool)
	Hangup    <-chan struct{} // the terminal is gone
}

// An End says why a dashboard ended.
type End uint8

// Ends.
const (
	EndQuit   End = iota + 1 // the operator wants the run to end
	EndGone                  // the terminal is gone
	EndEngine                // the engine has ended
	EndStop                  // ctx has ended
)
