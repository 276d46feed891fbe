package confirm

import "adit/tui/pane"

// New returns the dialog before an action on the engine.
func New(e pane.Ask, f *pane.Frame) pane.Overlay { return nil }

// NewFile returns the dialog that asks for the name of a file.
func NewFile(e pane.WriteFile, f *pane.Frame) pane.Overlay { return nil }
