package control

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/observe"
)

// queryWait bounds what answering one question may take.
const queryWait = 5 * time.Second

// about says what this is, who asks, and what can be asked.
func (s *Server) about(x *exchange) error {
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	e := encoder{b: []byte("{")}
	s.identity(&e, snap, x.by)
	e.name("calls")
	e.raw("[")
	for _, c := range calls() {
		e.item()
		e.b = observe.AppendString(e.b, strings.Replace(c.pattern, "{$}", "", 1))
	}
	e.raw("]}")
	return x.json(e.b)
}

// identity writes who this process is, to whom.
func (s *Server) identity(e *encoder, snap *engine.Snapshot, by operator) {
	e.text("name", snap.Name, "")
	e.text("role", snap.Role.String(), "")
	e.text("version", snap.Version, "")
	e.raw(`,"protocol":{"major":` + strconv.Itoa(protocolMajor) + `,"minor":` + strconv.Itoa(protocolMinor) + `}`)
	e.text("instance", snap.Instance, "")
	e.time("started", snap.Started, zeroTime())
	e.time("time", snap.Time, zeroTime())
	e.int("pid", int64(os.Getpid()), 0)
	e.text("you", by.name, "")
	e.name("read_only")
	e.b = strconv.AppendBool(e.b, by.readOnly)
	e.int("attached", int64(s.attached.Load()), 0)
	features := []string{"stream", "tail"}
	if s.o.Log != nil {
		features = append(features, "requests", "har", "replay")
	}
	e.texts("features", features)
}

// take returns a snapshot whose Instance is set.
func (s *Server) take(ctx context.Context) (*engine.Snapshot, error) {
	snap := &engine.Snapshot{}
	if err := s.takeInto(ctx, snap); err != nil {
		return nil, err
	}
	return snap, nil
}

func (s *Server) takeInto(ctx context.Context, into *engine.Snapshot) error {
	if err := s.o.Engine.Snapshot(ctx, into); err != nil {
		return err
	}
	if into.Instance == "" {
		into.Instance = s.instance
	}
	return nil
}

func (s *Server) snapshot(x *exchange) error {
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	return x.json(AppendSnapshot(nil, snap))
}

func (s *Server) connections(x *exchange) error {
	f, err := filter.Parse(filter.Connections, x.query("filter"))
	if err != nil {
		return err
	}
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	context := contextOf(snap)
	e := encoder{b: []byte(`{"connections":[`)}
	for i := range snap.Connections {
		if f.Connection(&snap.Connections[i], context) {
			e.item()
			e.connection(&snap.Connections[i], nil)
		}
	}
	e.raw("]}")
	return x.json(e.b)
}

// contextOf returns what predicates have to know.
func contextOf(snap *engine.Snapshot) *filter.Context {
	return &filter.Context{Now: time.Now(), Labels: func(client string) map[string]string {
		for i := len(snap.Connections) - 1; i >= 0; i-- {
			if c := &snap.Connections[i]; c.Client == client && c.Greeting != nil {
				return c.Greeting.Labels
			}
		}
		return nil
	}}
}

func (s *Server) connection(x *exchange) error {
	id, err := x.connectionID()
	if err != nil {
		return err
	}
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	i := snap.Index(id)
	if i < 0 {
		return fail(http.StatusNotFound, "connection %v: %w; it may have ended", id, engine.ErrNotFound)
	}
	return x.json(AppendConnection(nil, &snap.Connections[i]))
}

func (s *Server) frames(x *exchange) error {
	id, err := x.connectionID()
	if err != nil {
		return err
	}
	frames, err := s.o.Engine.FrameTape(x.r.Context(), id, nil)
	if err != nil {
		return err
	}
	e := encoder{}
	e.tape(frames)
	return x.json(e.b)
}

func (s *Server) settings(x *exchange) error {
	e := encoder{b: []byte(`{"settings":[`)}
	settings := *s.settingsNow.Load()
	for i := range settings {
		v := &settings[i]
		e.item()
		e.raw("{")
		e.text("name", v.Name, "")
		e.name("value")
		e.b = observe.AppendString(e.b, v.Value)
		e.text("source", v.Source, "")
		e.text("help", v.Help, "")
		e.raw("}")
	}
	e.raw("]")
	e.texts("commands", s.o.Commands)
	e.raw("}")
	return x.json(e.b)
}

func (s *Server) bans(x *exchange) error {
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	e := encoder{b: []byte("{")}
	e.texts("banned", snap.Banned)
	e.raw("}")
	return x.json(e.b)
}

func (s *Server) getCapture(x *exchange) error {
	snap, err := s.take(x.r.Context())
	if err != nil {
		return err
	}
	e := encoder{}
	e.capture(&snap.Capture)
	return x.json(e.b)
}
