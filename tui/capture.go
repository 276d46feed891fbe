package tui

import (
	"context"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/keys"
	"adit/tui/confirm"
	"adit/tui/format"
	"adit/tui/pane"
)

// capture does what the keys of capturing ask for, and reports false if it is
// none of them.
func (m *model) capture(a keys.Action) (tea.Cmd, bool) {
	now := m.latest.Capture.Capture
	next := engine.Capture{Mode: now.Mode, Content: slices.Clone(now.Content)}
	switch a {
	case keys.CaptureClient, keys.CapturePath:
		filter, what := m.captures(a)
		if filter == "" {
			m.say(pane.Say{Text: keys.Of(a).Short + ": " + m.offCapture(a)})
			return nil, true
		}
		if i := slices.Index(next.Content, filter); i >= 0 {
			next.Content = slices.Delete(next.Content, i, i+1)
			return m.setCapture(next, "content of "+what+" is not kept any more"), true
		}
		if len(next.Content) >= engine.MaxCaptureFilters {
			m.say(pane.Say{Text: "content is kept for " + strconv.Itoa(engine.MaxCaptureFilters) + " filters already: take one back first", Bad: true})
			return nil, true
		}
		next.Content = append(next.Content, filter)
		return m.setCapture(next, "content of "+what+" is kept from now on"), true
	case keys.CaptureHeads:
		return m.setCapture(engine.Capture{Mode: engine.CaptureHeads}, "header fields are kept, content is not"), true
	case keys.CaptureOff:
		return m.setCapture(engine.Capture{Mode: engine.CaptureOff}, "neither header fields nor content are kept"), true
	case keys.CaptureContent:
		next.Mode = engine.CaptureContent
		bound := "in memory"
		if n := m.latest.Capture.Limit; n > 0 {
			bound += ", at most " + format.Size(uint64(n)) + " in all"
		}
		return m.openOverlay(confirm.NewQuestion(confirm.Question{
			Title: "Capture the content of everything?",
			Lines: []string{"The first 64 KiB of every request and response are kept", bound + ". What is secret in them is kept too."},
			Yes:   "capture", Effect: performCapture(next, "content is kept from now on"),
		}, &m.frame)), true
	}
	return nil, false
}

// captures returns the filter for what is under the cursor, and what that is.
func (m *model) captures(a keys.Action) (filter, what string) {
	if s, ok := m.top().(pane.Capturable); ok {
		return s.Captures(a, &m.frame)
	}
	return "", ""
}

func (m *model) offCapture(a keys.Action) string {
	if filter, _ := m.captures(a); filter != "" {
		return ""
	}
	if a == keys.CaptureClient {
		return "no client here"
	}
	return "no request with a path here"
}

func (m *model) setCapture(c engine.Capture, said string) tea.Cmd {
	return m.perform(performCapture(c, said))
}

func performCapture(c engine.Capture, said string) pane.Perform {
	return pane.Perform{Do: func(ctx context.Context, s pane.Source, operator string) pane.Effect {
		if err := s.Engine.SetCapture(ctx, c, engine.Operator{Name: operator}); err != nil {
			return pane.Say{Text: "capture: " + err.Error(), Bad: true}
		}
		return pane.Say{Text: said}
	}}
}
