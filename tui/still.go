package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"adit/keys"
)

// stillFor is how long a still waits, once there is data, for what only shows
// after a while: rates, and what the history is asked for.
const stillFor = 3 * time.Second

// settledFrames are drawn before a still is one: lists are sorted by what the
// first of them brings.
const settledFrames = 4

// Still returns one frame of the overview in w by h cells, as soon as everything
// that stands in it is known: lines of text, with colours if o.Color and the
// environment say so. Where nothing comes from the engine until ctx ends, the
// error says why.
func Still(ctx context.Context, o Options, w, h int) (string, error) {
	o.StateFile, o.Guard = "", nil
	m, err := newModel(ctx, o)
	if err != nil {
		return "", err
	}
	defer m.close()
	m.bare = true
	m.update(tea.WindowSizeMsg{Width: max(w, 1), Height: max(h, 1)})
	m.chain++
	enough := time.NewTimer(stillFor)
	defer enough.Stop()
	if m.connecting() {
		enough.Stop()
	}
	waiting, full := m.connecting(), 0
	for {
		m.draw() // what a screen wants follows from what it has drawn
		m.update(m.order(true)())
		if waiting && !m.connecting() {
			waiting = false
			enough.Reset(stillFor)
		}
		if m.end == EndStop {
			return "", m.noStill(ctx)
		}
		if m.complete() {
			full++
		}
		if m.end != 0 || full == settledFrames {
			break
		}
		next := time.NewTimer(framesEvery)
		select {
		case <-next.C:
			continue
		case <-enough.C:
		case <-ctx.Done():
			next.Stop()
			return "", m.noStill(ctx)
		}
		next.Stop()
		break
	}
	m.notes = notes{}
	m.look()
	m.top().Do(keys.MoveFirst, &m.frame) // the cursor has gone with its row
	m.draw()
	if m.terminal().Profile() <= colorprofile.ASCII {
		return strings.TrimRight(m.canvas.Plain(), "\n") + "\n", nil
	}
	return m.view.Content + "\n", nil
}

// complete reports whether nothing of the frame is still to come.
func (m *model) complete() bool {
	return !m.connecting() && m.frame.Snapshot.Role != 0 && m.meter.Total().Known && m.pending == 0
}

// noStill says why there is nothing to show.
func (m *model) noStill(ctx context.Context) error {
	if m.connecting() {
		link := &m.remote.link
		if link.Cause != "" {
			return fmt.Errorf("nothing came from %s: %s", visible(link.Address), visible(link.Cause))
		}
		return fmt.Errorf("nothing came from %s", visible(link.Address))
	}
	return context.Cause(ctx)
}
