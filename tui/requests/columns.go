package requests

import (
	"strings"

	"adit/engine"
	"adit/tui/pane"
)

// A column is one that a list can show.
type column uint8

// In order of priority: what comes later is dropped first where there is no
// room. The path takes the slack.
const (
	colTime column = iota
	colMethod
	colStatus
	colDuration
	colPath
	colClient
	colSize
	colConnection
	colHost
	colCaller
	colOutcome
	colID
	columnsEnd
)

// A columnFact is what is always so of a column.
type columnFact struct {
	name, title string
	width       int // 0: the slack
	right       bool
	order       engine.RequestOrder
	sorts       bool
	place       int // from the left
}

// columnFacts has them by column.
var columnFacts = [columnsEnd]columnFact{
	colTime:       {"time", "TIME", 12, false, engine.ByArrival, true, 0},
	colMethod:     {"method", "METH", 7, false, 0, false, 1},
	colStatus:     {"status", "ST", 3, false, engine.ByStatus, true, 2},
	colDuration:   {"duration", "DUR", 7, true, engine.ByDuration, true, 3},
	colSize:       {"size", "SIZE", 6, true, engine.BySize, true, 4},
	colClient:     {"client", "CLIENT", 13, false, engine.ByClient, true, 5},
	colConnection: {"conn", "CONN", 7, false, 0, false, 6},
	colHost:       {"host", "HOST", 22, false, 0, false, 7},
	colCaller:     {"caller", "CALLER", 21, false, 0, false, 8},
	colOutcome:    {"outcome", "OUTCOME", 13, false, 0, false, 9},
	colID:         {"id", "ID", 9, false, 0, false, 10},
	colPath:       {"path", "PATH", 0, false, engine.ByPath, true, 11},
}

const (
	pathLeast   = 20 // cells that the path keeps: before that, others go
	gutter      = 3  // for cursor, mark and failure
	timeCompact = 8  // without milliseconds

	methodCompact = 6  // cuts CONNECT and OPTIONS
	small         = 96 // cells; below, times are compact and some columns have to be chosen
)

// A placed is a column of the layout that was drawn.
type placed struct {
	column column
	x, w   int
}

// defaults returns the columns that w cells show if nobody chose.
func defaults(w int) []column {
	all := [...]column{colTime, colMethod, colStatus, colDuration, colPath, colClient, colSize, colConnection}
	if w < small {
		return all[:6:6]
	}
	return all[:]
}

// lay places the columns that fit into w cells into l.layout.
func (l *List) lay(w int) {
	shown := l.columns
	if shown == nil {
		shown = defaults(w)
	}
	var has [columnsEnd]bool
	for _, c := range shown {
		has[c] = true
	}
	compact := w < small
	width := func(c column) int {
		switch {
		case c == colTime && compact:
			return timeCompact
		case c == colMethod && compact:
			return methodCompact
		case c == colClient && compact:
			return 12
		case c == colConnection:
			return max(columnFacts[c].width, len("c-")+l.connDigits)
		case c == colID:
			return max(columnFacts[c].width, len("r-")+l.idDigits)
		}
		return columnFacts[c].width
	}
	used := gutter + pathLeast
	for c := range columnsEnd {
		if has[c] && c != colPath {
			used += width(c) + 1
		}
	}
	for c := columnsEnd - 1; c > colTime && used > w; c-- {
		if has[c] && c != colPath {
			used -= width(c) + 1
			has[c] = false
		}
	}
	l.layout = l.layout[:0]
	x := gutter
	for place := range int(columnsEnd) {
		for c := range columnsEnd {
			if !has[c] || columnFacts[c].place != place {
				continue
			}
			cells := width(c)
			if c == colPath {
				cells = max(w-1-x, 0)
			}
			l.layout = append(l.layout, placed{c, x, cells})
			x += cells + 1
		}
	}
}

// widen makes room for the ids of h rows: after restarts they are long, and an id
// that is cut is another one. A column never becomes narrower, so that nothing
// jumps.
func (l *List) widen(h int) {
	for i := l.top; i < l.top+h; i++ {
		if r := l.row(i); r != nil {
			l.connDigits = max(l.connDigits, digits(uint64(r.Connection)))
			l.idDigits = max(l.idDigits, digits(uint64(r.ID)))
		}
	}
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// headerAt returns the order that a click at column x of the header asks for.
func (l *List) headerAt(x int) (engine.RequestOrder, bool) {
	for _, p := range l.layout {
		if x >= p.x && x <= p.x+p.w {
			return columnFacts[p.column].order, columnFacts[p.column].sorts
		}
	}
	return 0, false
}

// chooseColumns opens the menu of columns.
func (l *List) chooseColumns(f *pane.Frame) pane.Effect {
	shown := l.columns
	if shown == nil {
		shown = defaults(l.rows.W)
	}
	var has [columnsEnd]bool
	for _, c := range shown {
		has[c] = true
	}
	menu := make([]pane.Column, 0, columnsEnd)
	for c := range columnsEnd {
		menu = append(menu, pane.Column{Name: columnFacts[c].name, Title: columnFacts[c].title, Shown: has[c]})
	}
	memory := f.Memory
	return pane.ChooseColumns{Columns: menu, Apply: func(chosen []pane.Column) {
		names := make([]string, 0, len(chosen))
		for _, c := range chosen {
			if c.Shown {
				names = append(names, c.Name)
			}
		}
		text := strings.Join(names, ",")
		l.columns = parseColumns(text)
		if memory != nil {
			memory.Set(l.memoryName(), text)
		}
	}}
}

func (l *List) memoryName() string { return "columns." + l.o.Name }

// load reads once what was chosen before.
func (l *List) load(f *pane.Frame) {
	if l.loaded || f.Memory == nil {
		return
	}
	l.loaded = true
	l.columns = parseColumns(f.Memory.Get(l.memoryName()))
}

// parseColumns reads names with commas between; unknown ones are left out, and
// without any known one it is nil. Time is always among them: a list without
// a column is none.
func parseColumns(text string) []column {
	var columns []column
	for name := range strings.SplitSeq(text, ",") {
		for c := range columnsEnd {
			if columnFacts[c].name == name {
				columns = append(columns, c)
			}
		}
	}
	if len(columns) == 0 {
		return nil
	}
	return append(columns, colTime)
}
