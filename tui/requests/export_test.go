package requests

import "adit/engine"

// Order returns how the rows are sorted.
func (l *List) Order() (order engine.RequestOrder, ascending bool) { return l.order, l.ascending }

// List returns the rows of the screen.
func (s *Screen) List() *List { return s.list }
