// Package command has the verbs of the command line, one file each: their
// flags and help, what they wire together and what they print. It never exits
// the process, reads no signal and does not know whether there is a terminal:
// main hands it all of that as a [Process].
//
// Start with server.go; run.go is the life of a run from its first event to its
// last, dashboard.go the part of it that has a dashboard.
package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/control"
	"adit/engine/doctor"
	"adit/engine/handover"
	"adit/engine/service"
)

// A Process is what main knows of the process that a verb runs in. The first
// signal is the end of the context that the verb is executed with.
type Process struct {
	Stdout        io.Writer
	Stderr        io.Writer
	Terminal      bool       // stdout is a terminal
	InputTerminal bool       // stdin is a terminal
	Columns       func() int // of the terminal that stdout is; 0 unknown. Nil: nobody knows
	LookupEnv     func(key string) (string, bool)
	Stop          <-chan struct{}   // closed by the second signal: stop at once. Nil: never
	Hangup        <-chan os.Signal  // SIGHUP. Nil: never
	Restart       <-chan os.Signal  // SIGUSR2: start a successor. Nil: never
	Sockets       *handover.Sockets // that the process was started with. Nil: none, and none are handed on
	Version       string
	Completing    bool // a shell asks what a word may become

	// Dashboard prepares a dashboard: what is wrong with its options is the
	// error. show draws it until it ends by itself or ctx does, and returns when
	// the terminal is as it was. Nil: there is none.
	Dashboard func(ctx context.Context, v View) (show func() (Shown, error), err error)

	// OpenStore opens what keeps records and, where o has a path, the history
	// behind them. Nil: nothing is kept.
	OpenStore func(o StoreOptions) (Store, error)

	// CheckStore reads what stands in a database, for as long as ctx lasts, and
	// changes nothing. Nil: it can't be.
	CheckStore func(ctx context.Context, path string) (doctor.History, error)

	// Play opens a database as a recording that is shown. Close releases it. Nil:
	// it can't be.
	Play func(path string) (Recording, error)

	// Record writes what e and log tell into a new database at path until ctx
	// ends or e does. Nil: it can't be.
	Record func(ctx context.Context, e engine.Engine, log engine.RequestLog, path string) error

	// Still returns one frame of the dashboard as text, once there is something
	// to show. Nil: it can't be.
	Still func(ctx context.Context, v View, width, height int) (string, error)

	// Measure prints what the dashboard costs, measured for so long. Nil: it
	// can't be.
	Measure func(ctx context.Context, long time.Duration, w io.Writer) error

	// Keys writes what keys mean: of a set ("" the default), with a file over it.
	// Themes writes the themes, with those of a directory. "" as the place is the
	// operator's own. Nil: there is no such verb.
	Keys   func(w io.Writer, form Form, set, file string) error
	Themes func(w io.Writer, form Form, dir string) error

	failure error // what the verb returned

	host    *service.Host                                                                    // nil: this system; of tests
	dial    func(ctx context.Context, address string, o control.DialOptions) (remote, error) // nil: control.Dial; of tests
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)            // nil: the system's resolver; of tests
}

// StoreOptions say what is kept of a run.
type StoreOptions struct {
	Path                string // of the database; "" none: in memory only
	Role, Name, Version string
	Captures            bool          // heads and content go to the database too
	Age                 time.Duration // of what the database keeps; 0 without bound, like what follows
	Rows, Bytes         int64
	Beside              bool // a former process may write there until it ends
	FirstRequest        engine.RequestID
	FirstConnection     engine.ConnectionID
	Notice              func(text string) // told when writing stops and goes on; must not wait
	Logger              *slog.Logger
}

// A Store keeps the records of one engine.
type Store interface {
	// Next returns the first ids that no former run of the same database used.
	Next() (engine.RequestID, engine.ConnectionID)

	// Keep begins with an engine that does not serve yet.
	Keep(e engine.Engine) (engine.RequestLog, error)

	// State returns what it says of itself; it costs next to nothing.
	State() engine.LogState

	// Close writes what is left, for at most 2 s.
	Close()
}

// A Recording is a database that is shown as if it happened now.
type Recording interface {
	engine.Player
	engine.RequestLog
	Close()
}

// Root returns the command adit with its verbs.
func Root(p *Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "adit",
		Short: "Reach services in private networks through WebSockets that they open",
		Long: "adit is a reverse HTTP proxy over WebSocket. Clients inside a private network dial out to a " +
			"public server and keep WebSockets open; callers reach internal services through the server.",
		Example: `adit demo
adit server --listen 127.0.0.1:8080
adit client --server ws://127.0.0.1:8080/register --expose app=http://localhost:3000`,
		Args: cobra.NoArgs,
	}
	var measure time.Duration
	root.Flags().DurationVar(&measure, "bench-ui", 0, "measure the dashboard for so long and print figures as JSON")
	root.Flags().MarkHidden("bench-ui")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if measure == 0 || p.Measure == nil {
			return cmd.Help()
		}
		return p.verb(func(ctx context.Context) error { return p.Measure(ctx, measure, p.Stdout) })(cmd, args)
	}
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	group(root, "Run", newDemo(p), newServer(p), newClient(p))
	group(root, "Look", newAttach(p), newTop(p), newLs(p), newTail(p), newShow(p), newExport(p), newRecord(p), newPlay(p))
	group(root, "Act", newKill(p), newCancel(p), newDrain(p), newBan(p, false), newBan(p, true), newReplay(p), newCapture(p))
	group(root, "Act", newReload(p), newRestart(p))
	group(root, "Configure", newConfig(p), newToken(p), newRules(p), newService(p))
	if p.Keys != nil {
		group(root, "Configure", newKeys(p))
	}
	if p.Themes != nil {
		group(root, "Configure", newThemes(p))
	}
	group(root, "Others", newDoctor(p), newVersion(p))
	group(root, "Others", newCompletion(p), newMan(p))
	root.SetHelpCommandGroupID("Others")
	if p.Completing {
		p.addCompletions(root)
		root.AddCommand(newCompleteLine(p))
		root.SetErr(io.Discard)
		return root
	}
	suggest(root)
	fitHelp(root)
	return root
}

// group adds verbs that help lists together.
func group(root *cobra.Command, title string, verbs ...*cobra.Command) {
	if !root.ContainsGroup(title) {
		root.AddGroup(&cobra.Group{ID: title, Title: title})
	}
	for _, v := range verbs {
		v.GroupID = title
		root.AddCommand(v)
	}
}

// verb makes a function for cobra of what a verb does. Its error stays here:
// the library in front of cobra asks the terminal for its colours before it
// prints one, and a terminal that does not answer would hold up the end.
func (p *Process) verb(f func(ctx context.Context) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		p.failure = f(cmd.Context())
		return nil
	}
}

// Finish prints why the verb failed, if it did, and returns the exit code. usage
// is what executing the command line returned, which has been printed.
func (p *Process) Finish(usage error) int {
	defer p.Sockets.Close()
	if usage != nil {
		p.Sockets.Fail(usage.Error())
		return codeUsage
	}
	if p.failure != nil && p.failure.Error() != "" {
		p.say("%v", p.failure)
		p.Sockets.Fail(p.failure.Error())
	}
	return exitCode(p.failure)
}

// say prints one line for people. What a terminal could obey is a question mark:
// clients have chosen some of the names.
func (p *Process) say(format string, args ...any) {
	text := strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) || c == '\n' || c == '\t' {
			return c
		}
		return '?'
	}, fmt.Sprintf("adit: "+format+"\n", args...))
	_, _ = io.WriteString(p.Stderr, text)
}

// hint prints a line that can be copied into a shell.
func (p *Process) hint(line string) {
	fmt.Fprintln(p.Stderr, "  "+line)
}
