package tui

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
)

const (
	stepNear = time.Second
	stepFar  = time.Minute
	// playedGap is, at the speed of one, how long nothing may be shown of a
	// recording for rates to go on.
	playedGap = 3 * time.Second
)

// watchPlayback takes the state of the recording; its time is the time of the
// screen.
func (m *model) watchPlayback(p engine.Playback) {
	f, r := &m.frame, &m.remote
	old, seen := r.playback, r.seen
	r.playback, r.seen = p, true
	f.Playback, f.Now, f.ReadOnly = &r.playback, p.At, true
	if !seen {
		return
	}
	if p.Paused != old.Paused || p.Speed != old.Speed {
		m.dirty = true
	}
	// What comes after now has not happened yet: it is told again.
	if p.At.Before(old.At) {
		m.past.begin()
		m.dirty = true
	}
	m.meter.SetPatience(time.Duration(max(p.Speed, 1) * float64(playedGap)))
}

// play does what a key asks of the recording, and reports false if it is no such
// key.
func (m *model) play(a keys.Action) bool {
	player, p := m.remote.player, m.remote.playback
	if player == nil {
		return false
	}
	switch a {
	case keys.Pause:
		player.Pause(!p.Paused)
	case keys.PlayBack:
		player.Seek(p.At.Add(-stepNear))
	case keys.PlayForward:
		player.Seek(p.At.Add(stepNear))
	case keys.PlayBackFar:
		player.Seek(p.At.Add(-stepFar))
	case keys.PlayForwardFar:
		player.Seek(p.At.Add(stepFar))
	case keys.PlayFirst:
		player.Seek(p.From)
	case keys.PlayLast:
		player.Seek(p.To)
	case keys.PlaySlower:
		player.SetSpeed(p.Speed / 2)
	case keys.PlayFaster:
		player.SetSpeed(p.Speed * 2)
	default:
		return false
	}
	if a != keys.Pause {
		m.past.again()
	}
	m.look()
	return true
}

// seekTo goes to the time that stands in a column of the slider.
func (m *model) seekTo(x int) {
	p := &m.remote.playback
	share := float64(x-m.slider.X) / float64(max(m.slider.W-1, 1))
	m.remote.player.Seek(p.From.Add(time.Duration(min(max(share, 0), 1) * float64(p.To.Sub(p.From)))))
	m.past.again()
	m.look()
	m.changed()
}

// drawSlider draws what the recording covers, and where in it the screen is.
func (m *model) drawSlider(a canvas.Area) {
	f, p := &m.frame, m.frame.Playback
	layout := "15:04:05"
	if from, to := m.local(p.From), m.local(p.To); from.YearDay() != to.YearDay() || from.Year() != to.Year() {
		layout = "01-02 15:04"
	}
	muted := canvas.Of(themes.Muted)
	style := canvas.Of(themes.Accent) | canvas.Bold
	x := a.Text(1, 0, m.local(p.From).Format(layout), muted) + 1
	b := append(m.scratch[:0], m.local(p.To).Format(layout)...)
	b = append(b, "  "...)
	b = format.AppendAge(b, max(p.At.Sub(p.From), 0))
	b = append(format.AppendAge(append(b, " of "...), max(p.To.Sub(p.From), 0)), ' ')
	m.scratch = b
	right := max(a.W()-canvas.Width(string(b)), x)
	a.Bytes(right, 0, b, muted)
	w := max(right-x-1, 1)
	m.slider = canvas.Rect{X: a.Bounds().X + x, Y: a.Bounds().Y, W: w, H: 1}
	at := 0
	if length := p.To.Sub(p.From); length > 0 {
		at = int(float64(p.At.Sub(p.From)) / float64(length) * float64(w-1))
	}
	at = min(max(at, 0), w-1)
	a.Repeat(x, 0, at, f.Glyphs.Focused.Top, style)
	a.Text(x+at, 0, f.Glyphs.Following, style)
	a.Repeat(x+at+1, 0, w-at-1, f.Glyphs.Normal.Top, muted)
}

// local returns t in the zone that the operator chose.
func (m *model) local(t time.Time) time.Time {
	if m.frame.UTC {
		return t.UTC()
	}
	return t.Local()
}

// playing is the word for a recording in the second row.
func (m *model) playing() string {
	f, p := &m.frame, m.frame.Playback
	b := m.scratch[:0]
	switch {
	case p.Paused:
		b = append(b, f.Glyphs.Paused...)
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, "PAUSED "...)
	case !p.At.Before(p.To):
		b = append(b, "END "...)
	default:
		b = append(b, "PLAY "...)
	}
	b = append(strconv.AppendFloat(b, p.Speed, 'g', 4, 64), "x "...)
	b = format.AppendTimeShort(b, p.At, f.UTC)
	m.scratch = b
	return string(b)
}

// hintsOfPlay are what the footer says of the recording before all else.
func hintsOfPlay() []keys.Action {
	return []keys.Action{keys.Pause, keys.PlayBack, keys.PlayForward, keys.PlaySlower, keys.PlayFaster}
}
