package connections

import (
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A stage is a table in front of the scene of the pictures, whose connections a
// test takes away and changes.
type stage struct {
	*Table
	frame *pane.Frame
	c     *canvas.Canvas
	t     testing.TB
}

func staged(t testing.TB) *stage {
	s := &stage{Table: NewTable("test", false), frame: scene.New(scene.Options{}).Frame(120, 36), c: canvas.New(), t: t}
	s.frame.Now = s.frame.Snapshot.Time
	s.draw()
	return s
}

func (s *stage) draw() string {
	s.c.Resize(118, 15)
	s.c.Clear()
	s.Draw(s.c.Area(), s.frame, true)
	return s.c.Plain()
}

// next is the next data frame, in which change has happened to the snapshot.
func (s *stage) next(after time.Duration, change func(*engine.Snapshot)) {
	s.frame.Now = s.frame.Now.Add(after)
	s.frame.Snapshot.Time = s.frame.Now
	if change != nil {
		change(s.frame.Snapshot)
		s.frame.Meter.Add(s.frame.Snapshot)
		s.frame.Rows.Update(s.frame.Snapshot, s.frame.Meter)
	}
	s.draw()
}

func (s *stage) do(actions ...keys.Action) pane.Effect {
	s.t.Helper()
	var effect pane.Effect
	for _, a := range actions {
		var handled bool
		if effect, handled = s.Do(a, s.frame); !handled {
			s.t.Fatalf("%s is not handled", a)
		}
		s.draw()
	}
	return effect
}

// names are the rows from top to bottom: clients, and ids of connections.
func (s *stage) names() []string {
	var all []string
	for _, r := range s.list.rows {
		if r.conn < 0 {
			all = append(all, s.frame.Rows.Clients[r.client].Name)
		} else {
			all = append(all, s.frame.Snapshot.Connections[r.conn].ID.String())
		}
	}
	return all
}

func (s *stage) under() string {
	i, _ := s.table.Cursor(s)
	if i < 0 {
		return ""
	}
	return s.names()[i]
}

// goTo puts the cursor on a row by its name.
func (s *stage) goTo(name string) {
	s.t.Helper()
	i := slices.Index(s.names(), name)
	if i < 0 {
		s.t.Fatalf("no row %s", name)
	}
	s.table.MoveTo(i, s)
}

func remove(s *engine.Snapshot, ids ...engine.ConnectionID) {
	s.Connections = slices.DeleteFunc(s.Connections, func(x engine.Connection) bool { return slices.Contains(ids, x.ID) })
}

func TestRowsThatAreNotInOrder(t *testing.T) {
	s := staged(t)
	for _, flat := range []bool{false, true} {
		for _, column := range columns(true) {
			if !column.Sortable || column.Name == "name" {
				continue
			}
			for _, descending := range []bool{true, false} {
				s.table.SetOrder(column.Name, descending, nil)
				s.list.flat, s.list.dirty = flat, true
				s.draw()
				last, count := 0.0, 0
				for i, r := range s.list.rows {
					if r.conn < 0 {
						count = 0
						continue
					}
					key := keyOf(column.Name).ofConnection(s.frame, int(r.conn))
					if count > 0 && (descending && key > last || !descending && key < last) {
						t.Fatalf("by %s, descending %v, flat %v: row %d has %v after %v", column.Name, descending, flat, i, key, last)
					}
					last, count = key, count+1
				}
			}
		}
	}
}

func TestConnectionMissingFromTheTree(t *testing.T) {
	s := staged(t)
	seen := map[string]bool{}
	for _, name := range s.names() {
		if seen[name] {
			t.Errorf("%s is listed twice", name)
		}
		seen[name] = true
	}
	for _, x := range s.frame.Snapshot.Connections {
		if !seen[x.ID.String()] || !seen[x.Client] {
			t.Errorf("%v of %s is not listed", x.ID, x.Client)
		}
	}
	if len(seen) != 42+6 {
		t.Errorf("%d rows", len(seen))
	}
}

func TestFoldedClientShowsItsConnections(t *testing.T) {
	s := staged(t)
	s.goTo("edge-sin-01")
	s.do(keys.Open)
	if n := len(s.names()); n != 48-8 {
		t.Fatalf("%d rows with one folded", n)
	}
	if s.under() != "edge-sin-01" {
		t.Errorf("the cursor went to %s", s.under())
	}
	s.do(keys.Open)
	if n := len(s.names()); n != 48 {
		t.Fatalf("%d rows unfolded", n)
	}
	s.do(keys.Tree)
	if n := len(s.names()); n != 42 {
		t.Fatalf("%d rows without groups", n)
	}
	s.do(keys.Tree)
}

// A row that jumps away from under a finger is the wrong row killed.
func TestRowThatMovesUnderTheFinger(t *testing.T) {
	s := staged(t)
	s.table.SetOrder("bytes-in", true, nil)
	s.do(keys.MoveDown, keys.MoveDown)
	before := s.names()
	reverse := func(snap *engine.Snapshot) {
		for i := range snap.Connections {
			snap.Connections[i].BytesIn = 1<<50 - snap.Connections[i].BytesIn
		}
	}
	s.next(time.Second, reverse)
	if !slices.Equal(before, s.names()) {
		t.Fatalf("rows moved a second after a key:\n%v\n%v", before, s.names())
	}
	// What is gone goes, what is new comes last in its group.
	gone, grown := s.list.rows[1].id, engine.ConnectionID(9_999)
	s.next(500*time.Millisecond, func(snap *engine.Snapshot) {
		added := snap.Connections[slices.IndexFunc(snap.Connections, func(x engine.Connection) bool { return uint64(x.ID) == gone })]
		remove(snap, engine.ConnectionID(gone))
		added.ID = grown
		snap.Connections = append(snap.Connections, added)
	})
	want := slices.DeleteFunc(slices.Clone(before), func(n string) bool { return n == engine.ConnectionID(gone).String() })
	group := slices.Index(want[1:], s.frame.Rows.Clients[s.list.rows[0].client+1].Name)
	got := slices.DeleteFunc(s.names(), func(n string) bool { return n == grown.String() })
	if !slices.Equal(got, want) {
		t.Fatalf("rows moved as one went and one came:\n%v\n%v (%d)", got, want, group)
	}
	s.next(2*time.Second, nil)
	if slices.Equal(want, slices.DeleteFunc(s.names(), func(n string) bool { return n == grown.String() })) {
		t.Fatal("rows hold still for ever")
	}
}

func TestCursorWhoseRowVanishes(t *testing.T) {
	s := staged(t)
	s.do(keys.MoveDown, keys.MoveDown, keys.MoveDown)
	under, below := s.under(), s.names()[4]
	id, err := engine.ParseConnectionID(under)
	if err != nil {
		t.Fatal(err)
	}
	s.next(100*time.Millisecond, func(snap *engine.Snapshot) { remove(snap, id) })
	if s.under() != below {
		t.Errorf("the cursor was on %s, which is gone, and is on %s; want %s", under, s.under(), below)
	}
	s.next(100*time.Millisecond, func(snap *engine.Snapshot) { snap.Connections = snap.Connections[:0] })
	if effect := s.do(keys.Open); effect != nil {
		t.Errorf("open with no rows: %v", effect)
	}
	s.do(keys.MoveDown, keys.Mark, keys.MarkAll)
	if got, ok := s.do(keys.Kill).(pane.Say); !ok || got.Text == "" {
		t.Errorf("kill with no rows: %v", got)
	}
}

func TestOneRow(t *testing.T) {
	s := staged(t)
	s.next(time.Minute, func(snap *engine.Snapshot) { snap.Connections = snap.Connections[:1] })
	s.do(keys.MoveLast)
	want := s.frame.Snapshot.Connections[0].ID
	if ask, ok := s.do(keys.Kill).(pane.Ask); !ok || !slices.Equal(ask.Connections, []engine.ConnectionID{want}) {
		t.Errorf("kill of the only row: %v", ask)
	}
	if open, ok := s.do(keys.Open).(pane.OpenConnection); !ok || open.ID != want {
		t.Errorf("open of the only row: %v", open)
	}
	if _, ok := s.Step(want, 1); ok {
		t.Error("there is something after the only row")
	}
}

func TestActionOnTheWrongConnections(t *testing.T) {
	of := func(s *stage, client string) (ids []engine.ConnectionID) {
		for _, x := range s.frame.Snapshot.Connections {
			if x.Client == client {
				ids = append(ids, x.ID)
			}
		}
		return ids
	}
	t.Run("the row", func(t *testing.T) {
		s := staged(t)
		s.do(keys.MoveDown)
		ask := s.do(keys.Kill).(pane.Ask)
		if len(ask.Connections) != 1 || ask.Connections[0].String() != s.under() || ask.Hidden != 0 {
			t.Errorf("%+v", ask)
		}
	})
	t.Run("a client", func(t *testing.T) {
		s := staged(t)
		s.goTo("edge-fra-01")
		if ask := s.do(keys.Kill).(pane.Ask); !slices.Equal(ask.Connections, of(s, "edge-fra-01")) {
			t.Errorf("%+v", ask)
		}
		if ask := s.do(keys.Ban).(pane.Ask); !slices.Equal(ask.Clients, []string{"edge-fra-01"}) || ask.Action != keys.Ban {
			t.Errorf("%+v", ask)
		}
	})
	t.Run("what drains already", func(t *testing.T) {
		s := staged(t)
		s.goTo("edge-iad-01")
		ids := of(s, "edge-iad-01")
		s.next(0, func(snap *engine.Snapshot) {
			i := slices.IndexFunc(snap.Connections, func(x engine.Connection) bool { return x.ID == ids[0] })
			snap.Connections[i].State = engine.StateDraining
		})
		s.list.dirty = true
		if ask := s.do(keys.Drain).(pane.Ask); len(ask.Connections) >= len(ids) || slices.Contains(ask.Connections, ids[0]) {
			t.Errorf("%+v", ask)
		}
	})
	t.Run("marks, some of them hidden", func(t *testing.T) {
		s := staged(t)
		s.goTo("edge-fra-01")
		s.do(keys.Mark)
		s.do(keys.Mark) // its first connection, which is of the client too
		s.SetFilter("client:edge-sin-01")
		s.draw()
		s.do(keys.MoveLast)
		last := s.under()
		s.do(keys.Mark)
		ask := s.do(keys.Kill).(pane.Ask)
		if n := len(of(s, "edge-fra-01")); len(ask.Connections) != n+1 || ask.Hidden != n {
			t.Errorf("%+v, want %d and %s", ask, n, last)
		}
		if !slices.IsSorted(ask.Connections) {
			t.Errorf("not in order: %v", ask.Connections)
		}
	})
	t.Run("at a client nobody is banned", func(t *testing.T) {
		s := staged(t)
		s.frame.Snapshot.Role = engine.RoleClient
		if say, ok := s.do(keys.Ban).(pane.Say); !ok || say.Text == "" {
			t.Error("it asks")
		}
	})
	t.Run("a ban that is not there", func(t *testing.T) {
		s := staged(t)
		s.goTo("edge-fra-01")
		if _, ok := s.do(keys.Unban).(pane.Say); !ok {
			t.Error("it asks")
		}
		s.frame.Snapshot.Banned = []string{"edge-fra-01"}
		if ask, ok := s.do(keys.Unban).(pane.Ask); !ok || !slices.Equal(ask.Clients, []string{"edge-fra-01"}) {
			t.Errorf("%v", ask)
		}
	})
}

// A mark whose connection is gone would be counted, and acted on if ids were
// used again.
func TestMarkOfWhatIsGone(t *testing.T) {
	s := staged(t)
	s.do(keys.MoveDown, keys.Mark, keys.Mark)
	first := engine.ConnectionID(s.list.rows[1].id)
	if s.table.Marks() != 2 {
		t.Fatalf("%d marks", s.table.Marks())
	}
	s.next(time.Second, func(snap *engine.Snapshot) { remove(snap, first) })
	if s.table.Marks() != 1 {
		t.Errorf("%d marks after one is gone", s.table.Marks())
	}
	s.do(keys.Back)
	if s.table.Marks() != 0 {
		t.Error("back leaves marks")
	}
	if _, handled := s.Do(keys.Back, s.frame); handled {
		t.Error("back has nothing to clear and says it had")
	}
}

func TestRangeOfMarks(t *testing.T) {
	s := staged(t)
	s.do(keys.MoveDown, keys.MarkRange, keys.MoveDown, keys.MoveDown, keys.MarkRange)
	if s.table.Marks() != 3 {
		t.Errorf("%d marks", s.table.Marks())
	}
	s.do(keys.Undo)
	if s.table.Marks() != 0 {
		t.Errorf("%d marks after undo", s.table.Marks())
	}
	s.do(keys.MarkAll)
	if s.table.Marks() != 48 {
		t.Errorf("%d of 48 marked", s.table.Marks())
	}
}

func TestFilterThatHidesAClientWithAMatch(t *testing.T) {
	s := staged(t)
	s.SetFilter("state:busy")
	s.draw()
	m := s.Matches()
	matched, of := m.Matched, m.Of
	if matched != 9 || of != 42 {
		t.Errorf("%d of %d", matched, of)
	}
	names := s.names()
	if slices.Contains(names, "lab-rpi4") {
		t.Error("a client without a match is shown")
	}
	if !slices.Contains(names, "edge-sin-01") {
		t.Error("a client with a match is not shown")
	}
	s.SetFilter("state:busy rtt:>9000ms")
	text := s.draw()
	if !strings.Contains(text, "0 of 42 match") || s.narrow != "rtt:>9000ms" {
		t.Errorf("nothing matches, narrowest %q:\n%s", s.narrow, text)
	}
	s.do(keys.Back)
	if s.Filter() != "" || len(s.names()) != 48 {
		t.Errorf("back leaves the filter %q", s.Filter())
	}
	s.do(keys.Undo)
	if s.Filter() != "state:busy rtt:>9000ms" {
		t.Errorf("undo gives %q", s.Filter())
	}
	s.SetFilter("client:(")
	if s.Filter() == "client:(" {
		t.Error("a filter that does not parse is taken")
	}
}

func TestFilterByMarks(t *testing.T) {
	s := staged(t)
	s.do(keys.MoveDown, keys.Mark)
	s.SetFilter("is:marked")
	s.draw()
	if matched := s.Matches().Matched; matched != 1 {
		t.Fatalf("%d match", matched)
	}
	s.do(keys.MarkAll)
	s.do(keys.Undo)
	if matched := s.Matches().Matched; matched != 0 {
		t.Errorf("%d match without marks", matched)
	}
}

func TestFilterByLabel(t *testing.T) {
	s := staged(t)
	s.SetFilter("label.region:sin")
	s.draw()
	if matched := s.Matches().Matched; matched != 8 {
		t.Errorf("%d match", matched)
	}
}

func TestStepThatLeavesTheOrder(t *testing.T) {
	s := staged(t)
	var ids []engine.ConnectionID
	for _, r := range s.list.rows {
		if r.conn >= 0 {
			ids = append(ids, engine.ConnectionID(r.id))
		}
	}
	at := ids[0]
	for _, want := range ids[1:] {
		next, ok := s.Step(at, 1)
		if !ok || next != want {
			t.Fatalf("after %v comes %v, want %v", at, next, want)
		}
		if back, _ := s.Step(next, -1); back != at {
			t.Fatalf("before %v is %v, want %v", next, back, at)
		}
		at = next
	}
	if _, ok := s.Step(at, 1); ok {
		t.Error("there is something after the last")
	}
}

func TestMouseOnTheRows(t *testing.T) {
	s := staged(t)
	if effect := s.Mouse(pane.Mouse{X: 10, Y: 4, Kind: pane.Click}, s.frame); effect != nil || s.under() != s.names()[2] {
		t.Errorf("a click selects %s", s.under())
	}
	open, ok := s.Mouse(pane.Mouse{X: 10, Y: 4, Kind: pane.DoubleClick}, s.frame).(pane.OpenConnection)
	if !ok || open.ID.String() != s.names()[2] || open.From == nil {
		t.Errorf("a double click opens %v", open)
	}
	header := strings.Split(s.draw(), "\n")[1]
	x := len([]rune(header[:strings.Index(header, "RTT")]))
	s.Mouse(pane.Mouse{X: x, Y: 1, Kind: pane.Click}, s.frame)
	s.draw()
	if column, descending := s.table.Order(); column != "rtt" || !descending {
		t.Errorf("a click on the header sorts by %s, %v", column, descending)
	}
	s.do(keys.MoveFirst)
	s.Mouse(pane.Mouse{X: 10, Y: 5, Kind: pane.Wheel, Amount: 3}, s.frame)
	if first, _ := s.table.Offset(); first != 3 {
		t.Errorf("the wheel scrolls to %d", first)
	}
}

// A rate of nothing seen yet is not zero.
func TestRateOfANewConnection(t *testing.T) {
	s := staged(t)
	s.next(time.Second, func(snap *engine.Snapshot) {
		x := snap.Connections[0]
		x.ID, x.Opened = 9_999, snap.Time
		snap.Connections = append(snap.Connections[:0:0], x)
	})
	if text := s.draw(); !strings.Contains(text, "c-9999") || strings.Contains(strings.Split(text, "\n")[3], "B/s") {
		t.Errorf("a connection that was seen once has rates:\n%s", text)
	}
}

// An engine that has not said since when it runs runs for no time that is known.
func TestUptimeThatNobodyKnows(t *testing.T) {
	s := staged(t)
	s.next(time.Second, func(snap *engine.Snapshot) {
		snap.Connections, snap.Started = nil, time.Time{}
	})
	if got := s.draw(); strings.Contains(got, "(up") || !strings.Contains(got, "Listening on") {
		t.Errorf("drawn:\n%s", got)
	}
}
