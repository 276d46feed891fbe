package tui

import (
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine/enginetest"
)

// The events of a wheel that come within 16 ms are merged. What the last ones
// turned it by must neither wait for the next turn nor undo it.
func TestWheelThatStopsWithinTheMergedTime(t *testing.T) {
	fake := enginetest.NewFake(small())
	defer fake.End()
	now := time.Unix(1, 0)
	p := &probe{name: "probe"}
	m, err := newModelAt(t.Context(), Options{Engine: fake}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	m.levels[0] = []level{{screen: p}}
	m.update(tea.WindowSizeMsg{Width: 80, Height: 24})
	m.draw()
	for range 3 {
		if msg := filter(m, tea.MouseWheelMsg{X: 5, Y: 5, Button: tea.MouseWheelDown}); msg != nil {
			m.update(msg)
		}
	}
	m.update(m.order(true)())
	rows := 0
	for _, at := range p.pointed() {
		rows += at.Amount
	}
	if rows != 9 || m.mouse.wheel != 0 {
		t.Errorf("scrolled by %d rows, %d are left", rows, m.mouse.wheel)
	}
}
