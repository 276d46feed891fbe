package connections

import (
	"slices"
	"strings"

	"adit/engine"
	"adit/keys"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

// targets returns what an action is done to: all that is marked, else the row of
// the cursor; of a client all its connections. hidden counts those of the marked
// that the filter hides.
func (t *Table) targets() (ids []engine.ConnectionID, clients []string, hidden int) {
	rows := t.f.Rows.Clients
	take := func(id uint64) {
		if id&clientBit == 0 {
			ids = append(ids, engine.ConnectionID(id))
			return
		}
		if c := t.client(id); c != nil {
			clients = append(clients, c.Name)
			for _, n := range c.Connections {
				ids = append(ids, t.f.Snapshot.Connections[n].ID)
			}
		}
	}
	if t.table.Marks() > 0 {
		for _, id := range t.table.AppendMarked(nil) {
			take(id)
		}
	} else if r, ok := t.selected(); ok {
		take(r.id)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	ids = slices.DeleteFunc(ids, func(id engine.ConnectionID) bool {
		i, ok := slices.BinarySearch(t.list.ids, id)
		if ok && !t.list.hits[i] {
			hidden++
		}
		return !ok
	})
	if len(clients) == 0 {
		for _, id := range ids {
			i, _ := slices.BinarySearch(t.list.ids, id)
			name := rows[t.list.clientN[i]].Name
			if t.f.Snapshot.Role == engine.RoleServer && name != "" {
				clients = append(clients, name)
			}
		}
	}
	slices.Sort(clients)
	clients = slices.Compact(clients)
	return ids, clients, hidden
}

// Captures is what [pane.Capturable] asks for.
func (t *Table) Captures(a keys.Action, f *pane.Frame) (filter, what string) {
	if a != keys.CaptureClient || f.Snapshot.Role != engine.RoleServer {
		return "", ""
	}
	t.with(f)
	r, ok := t.selected()
	if !ok {
		return "", ""
	}
	name := ""
	if c := t.client(r.id); r.id&clientBit != 0 && c != nil {
		name = c.Name
	} else if i := f.Snapshot.Index(engine.ConnectionID(r.id)); i >= 0 {
		name = f.Snapshot.Connections[i].Client
	}
	return exchange.CaptureClient(name)
}

// Marks returns how many rows are marked.
func (t *Table) Marks() int { return t.table.Marks() }

// ask asks for an action on the marked, or on the row.
func (t *Table) ask(a keys.Action) pane.Effect {
	if why := t.off(a); why != "" {
		return pane.Say{Text: why}
	}
	ids, clients, hidden := t.targets()
	switch a {
	case keys.Ban, keys.Unban:
		return pane.Ask{Action: a, Clients: clients, Hidden: hidden}
	case keys.Drain:
		draining := func(id engine.ConnectionID) bool {
			i, ok := slices.BinarySearch(t.list.ids, id)
			return ok && t.f.Snapshot.Connections[i].State >= engine.StateDraining
		}
		if ids = slices.DeleteFunc(ids, draining); len(ids) == 0 {
			return pane.Say{Text: "already draining"}
		}
	}
	return pane.Ask{Action: a, Connections: ids, Hidden: hidden}
}

// Off says why an action of Do is not possible now.
func (t *Table) Off(a keys.Action, f *pane.Frame) string {
	t.with(f)
	return t.off(a)
}

func (t *Table) off(a keys.Action) string {
	switch a {
	case keys.Kill, keys.Drain, keys.Ban, keys.Unban:
	case keys.Open, keys.Copy, keys.Mark, keys.MarkRange, keys.MarkAll:
		if len(t.list.rows) == 0 {
			return "no connection here"
		}
		return ""
	case keys.Undo:
		if len(t.before) == 0 && t.table.Marks() == 0 {
			return "nothing to undo"
		}
		return ""
	default:
		return ""
	}
	ids, clients, _ := t.targets()
	switch {
	case (a == keys.Ban || a == keys.Unban) && t.f.Snapshot.Role == engine.RoleClient:
		return "only a server bans clients"
	case a == keys.Unban:
		for _, name := range clients {
			if slices.Contains(t.f.Snapshot.Banned, name) {
				return ""
			}
		}
		return "not banned: nothing to take back here"
	case a == keys.Ban && len(clients) == 0:
		return "it has not said who it is"
	case len(ids) == 0:
		return "no connection here"
	}
	return ""
}

// copyMenu offers what names the row of the cursor, or the commands of an empty
// screen.
func (t *Table) copyMenu() pane.Effect {
	if len(t.f.Snapshot.Connections) == 0 {
		var choices []pane.Choice
		for _, line := range t.f.Commands {
			choices = append(choices, pane.Choice{Title: line, Text: line})
		}
		if len(choices) == 0 {
			return pane.Say{Text: "nothing to copy"}
		}
		return pane.CopyText{Choices: choices}
	}
	ids, clients, _ := t.targets()
	var choices []pane.Choice
	add := func(title string, words []string) {
		if len(words) > 1 {
			title = format.Plural(len(words), title)
		}
		if len(words) > 0 {
			choices = append(choices, pane.Choice{Title: title, Text: strings.Join(words, "\n")})
		}
	}
	var names, peers []string
	for _, id := range ids {
		names = append(names, id.String())
		if i, ok := slices.BinarySearch(t.list.ids, id); ok {
			peers = append(peers, t.f.Snapshot.Connections[i].Peer)
		}
	}
	add("connection id", names)
	add("client id", clients)
	add("peer address", peers)
	if len(choices) == 0 {
		return pane.Say{Text: "nothing to copy"}
	}
	return pane.CopyText{Choices: choices}
}
