package confirm

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/overlay"
	"adit/tui/pane"
)

// maxName bounds the name of a file, in characters.
const maxName = 1024

// A file asks for the name of a file.
type file struct {
	write pane.WriteFile
	name  overlay.Line
}

// NewFile returns the dialog that asks for the name of a file. Enter writes it,
// for this user only; a file that exists is never overwritten.
func NewFile(e pane.WriteFile, f *pane.Frame) pane.Overlay {
	return &file{write: e, name: overlay.NewLine(maxName, e.Name)}
}

// Update implements [pane.Overlay].
func (d *file) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	if key, ok := msg.(tea.KeyPressMsg); ok {
		switch key.String() {
		case "esc":
			return nil, false
		case "enter":
			name := strings.TrimSpace(d.name.Text())
			if name == "" {
				return pane.Say{Text: "a file needs a name"}, true
			}
			content, fetch := d.write.Content, d.write.Fetch
			return pane.Perform{Do: func(ctx context.Context, s pane.Source, _ string) pane.Effect {
				if fetch == nil {
					return written(name, content())
				}
				b, err := fetch(ctx, s)
				if err != nil {
					return pane.Say{Text: "write: " + err.Error(), Bad: true}
				}
				return written(name, b)
			}}, false
		}
	}
	d.name.Update(msg)
	return nil, true
}

// written writes a new file and says how it went.
func written(name string, content []byte) pane.Effect {
	if full, err := filepath.Abs(name); err == nil {
		name = full
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return pane.Say{Text: name + " exists: nothing was written, choose another name", Bad: true}
	}
	if err == nil {
		_, err = f.Write(content)
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(name) // a part of it would pass for all
		}
	}
	if err != nil {
		return pane.Say{Text: "write: " + err.Error(), Bad: true}
	}
	return pane.Say{Text: "wrote " + format.Plural(len(content), "byte") + " to " + name}
}

// Draw implements [pane.Overlay].
func (d *file) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	in := box(a, f, "Write to file", 3)
	column := d.name.Draw(in, 1, 1, in.W()-2, canvas.Of(themes.Fg))
	buttons(in, in.H()-1, button{"cancel (esc)", themes.Fg}, button{"write (enter)", themes.Accent})
	return in.Bounds().X + column, in.Bounds().Y + 1, true
}

// Hints implements [pane.Overlay].
func (d *file) Hints(*pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: "enter", Text: "write"}, {Key: "esc", Text: "cancel"}}
}
