package exchange

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"adit/engine"
	"adit/engine/inspect"
	"adit/keys"
	"adit/tui/format"
	"adit/tui/pane"
)

// replayMost is how many requests are replayed at once at most.
const replayMost = 100

// Replay asks how requests are to be sent again: one as it was, through another
// client or edited, several as they were.
func Replay(f *pane.Frame, ids []engine.RequestID, hidden int) pane.Effect {
	switch {
	case len(ids) == 0:
		return pane.Say{Text: "replay: no request here"}
	case len(ids) > replayMost:
		return pane.Say{Text: fmt.Sprintf("replay: %d are marked, more than the %d that are sent at once", len(ids), replayMost)}
	case f.Playback != nil:
		return pane.Say{Text: "replay: this is a recording"}
	}
	var clients []string
	if f.Snapshot != nil && f.Snapshot.Role == engine.RoleServer && f.Rows != nil {
		for i := range f.Rows.Clients {
			if c := &f.Rows.Clients[i]; c.Name != "" && len(c.Connections) > 0 {
				clients = append(clients, c.Name)
			}
		}
	}
	ids, remote := slices.Clone(ids), f.Link != nil
	return pane.Perform{Do: func(ctx context.Context, s pane.Source, _ string) pane.Effect {
		if len(ids) == 1 {
			return replayOne(ctx, s, ids[0], clients, remote)
		}
		ask := pane.Ask{Action: keys.Replay, Hidden: hidden}
		for _, id := range ids {
			x, err := inspect.Fetch(ctx, s.Log, id)
			var p engine.Replay
			if err == nil {
				p, err = inspect.Prepare(&x, nil)
			}
			if err != nil {
				ask.Refused = append(ask.Refused, err.Error())
				continue
			}
			ask.Replays = append(ask.Replays, p)
		}
		if len(ask.Replays) == 0 {
			return pane.Say{Text: "replay: " + ask.Refused[0]}
		}
		return ask
	}}
}

func replayOne(ctx context.Context, s pane.Source, id engine.RequestID, clients []string, remote bool) pane.Effect {
	x, err := inspect.Fetch(ctx, s.Log, id)
	if err != nil {
		return pane.Say{Text: "replay " + id.String() + ": " + err.Error(), Bad: true}
	}
	p, err := inspect.Prepare(&x, nil)
	if err != nil && p.Of == 0 {
		return pane.Say{Text: "replay: " + err.Error()}
	}
	off := ""
	if err != nil {
		off = err.Error()
	}
	note := "any client that can serve it"
	if p.Client != "" {
		note = "through " + p.Client
	}
	menu := pane.Choose{Title: "Replay " + id.String(), Options: []pane.Option{
		{Title: "as it was", Note: note, Off: off, Effect: pane.Ask{Action: keys.Replay, Replays: []engine.Replay{p}}},
	}}
	if off != "" {
		menu.Lines = []string{off}
		menu.Options[0].Off = "a secret in it was masked"
	}
	if len(clients) > 0 {
		to := pane.Choose{Title: "Replay " + id.String() + " through"}
		for _, name := range clients {
			other := p
			other.Client = name
			o := pane.Option{Title: name, Effect: pane.Ask{Action: keys.Replay, Replays: []engine.Replay{other}}}
			if name == x.Request.Client {
				o.Note = "which served it"
			}
			to.Options = append(to.Options, o)
		}
		menu.Options = append(menu.Options, pane.Option{Title: "through a client" + ellipsis, Note: format.Plural(len(clients), "client"), Off: menu.Options[0].Off, Effect: to})
	}
	edited := pane.Option{Title: "edited in $EDITOR", Effect: edit(p, inspect.EditText(&p))}
	if !remote {
		edited.Off = "it would stop this tunnel: use adit attach"
	}
	menu.Options = append(menu.Options, edited)
	return menu
}

const ellipsis = "..."

// edit gives a request as a text to the operator's editor and asks before what
// comes back is sent.
func edit(p engine.Replay, text []byte) pane.Effect {
	return pane.Perform{Do: func(context.Context, pane.Source, string) pane.Effect {
		dir, err := os.MkdirTemp("", "adit-replay-")
		if err != nil {
			return pane.Say{Text: "edit: " + err.Error(), Bad: true}
		}
		path := filepath.Join(dir, "request.http")
		if err := os.WriteFile(path, text, 0o600); err != nil { // #nosec G703 -- in a directory made for it
			_ = os.RemoveAll(dir)
			return pane.Say{Text: "edit: " + err.Error(), Bad: true}
		}
		// An editor may come with arguments, which a shell takes apart.
		command := exec.Command("sh", "-c", editor()+` "$1"`, "sh", path)
		// What the dashboard reads keys from is no terminal to an editor.
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err == nil {
			command.Stdin, command.Stdout, command.Stderr = tty, tty, tty
		}
		return pane.Exec{Command: command, Done: func(err error) pane.Effect {
			if tty != nil {
				_ = tty.Close()
			}
			if err != nil {
				_ = os.RemoveAll(dir)
				return pane.Say{Text: "edit: " + editor() + ": " + err.Error() + "; nothing was sent", Bad: true}
			}
			return pane.Perform{Do: func(context.Context, pane.Source, string) pane.Effect {
				text, err := os.ReadFile(path)
				_ = os.RemoveAll(dir)
				if err != nil {
					return pane.Say{Text: "edit: " + err.Error(), Bad: true}
				}
				return edited(p, text)
			}}
		}}
	}}
}

// edited asks before what became of a text is sent.
func edited(p engine.Replay, text []byte) pane.Effect {
	changed, err := inspect.ParseEdit(text, &p)
	switch {
	case errors.Is(err, inspect.ErrEmpty):
		return pane.Say{Text: "the text is empty: nothing was sent"}
	case err != nil:
		return pane.Choose{Title: "It can't be sent", Lines: []string{err.Error()}, Options: []pane.Option{
			{Title: "edit it again", Effect: edit(p, text)}, {Title: "send nothing", Effect: pane.Say{Text: "nothing was sent"}},
		}}
	}
	return pane.Ask{Action: keys.Replay, Replays: []engine.Replay{changed}}
}

// editor returns the operator's editor, as a shell understands it.
func editor() string {
	for _, name := range [...]string{"VISUAL", "EDITOR"} {
		if e := os.Getenv(name); e != "" {
			return e
		}
	}
	return "vi"
}
