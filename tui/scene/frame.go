package scene

import (
	"time"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/pane"
)

// Frame returns what there is to draw at the moment of the pictures, in a
// terminal of w by h cells: the first theme, Unicode, times in UTC.
func (s *Scene) Frame(w, h int) *pane.Frame {
	long := 20 * time.Minute
	if s.o.Connections > 200 {
		long = 65 * time.Second
	}
	meter, snapshot := s.Meter(long)
	f := &pane.Frame{
		Now: snapshot.Time, Class: pane.ClassOf(w, h), Width: w, Height: h,
		Glyphs: themes.Unicode(), UTC: true,
		Snapshot: snapshot, Meter: meter, Rows: new(pane.Rows), Events: pane.NewEventLog(1000),
		Settings: []engine.Setting{
			{Name: "listen", Value: ":8080", Source: "flag", Help: "address to listen on"},
			{Name: "domain", Value: "example.com", Source: "file", Help: "domain below which clients expose names"},
			{Name: "secret", Value: "set", Source: "environment", Help: "what clients prove that they know"},
			{Name: "ping", Value: "20s", Source: "default", Help: "interval of pings"},
		},
		Commands: []string{"adit client --server wss://edge-1:8080/register --id my-box"},
		Memory:   memory{},
	}
	f.Theme, _ = themes.ByName("midnight")
	f.Keys, _, _ = keys.Load("", "")
	f.Rows.Update(snapshot, meter)
	f.Events.Add(engine.Batch{Events: s.Events(200)})
	return f
}

// A memory that lasts as long as its frame.
type memory map[string]string

func (m memory) Get(name string) string { return m[name] }
func (m memory) Set(name, value string) { m[name] = value }
