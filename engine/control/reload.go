package control

import (
	"context"
	"net/http"
	"slices"

	"adit/engine"
	"adit/engine/observe"
)

// A Reloaded is what came of loading the configuration again, as names of
// settings.
type Reloaded struct {
	Changed []string `json:"changed"` // in force now
	Restart []string `json:"restart"` // what needs a restart
}

// reload answers POST /v1/reload.
func (s *Server) reload(x *exchange) error {
	by, err := x.because()
	if err != nil {
		return err
	}
	if s.o.Reload == nil {
		return fail(http.StatusConflict, "this run has no configuration that could be loaded again")
	}
	got, err := s.o.Reload(x.r.Context(), by)
	if err != nil {
		return fail(http.StatusUnprocessableEntity, "%w", err)
	}
	e := encoder{b: []byte(`{"changed":[`)}
	names := func(list []string) {
		for _, n := range list {
			e.item()
			e.b = observe.AppendString(e.b, n)
		}
	}
	names(got.Changed)
	e.raw(`],"restart":[`)
	names(got.Restart)
	e.raw("]}")
	return x.json(e.b)
}

// Reload has the other end load its configuration again. An error says what is
// wrong with it; nothing has changed then.
func (r *Remote) Reload(ctx context.Context, by engine.Operator) (Reloaded, error) {
	var got Reloaded
	err := r.act(ctx, http.MethodPost, "/v1/reload", because(by), &got)
	return got, err
}

// Update replaces the settings that are shown and the credentials of operators
// over TCP, as Options have them. Who was admitted by one that is gone is cut
// off.
func (s *Server) Update(settings []engine.Setting, tokens, readTokens []string) {
	s.settingsNow.Store(&settings)
	next := s.newTokens(tokens, readTokens)
	former := s.tokens.Swap(&next)
	for _, t := range *former {
		if !slices.ContainsFunc(next, func(n token) bool { return n.hash == t.hash && n.readOnly == t.readOnly }) {
			t.end()
		}
	}
}

// newTokens makes tokens of Options.Tokens and Options.ReadTokens. One that was
// there already stays what it was.
func (s *Server) newTokens(all, read []string) []token {
	var list []token
	add := func(t token) {
		if former := s.tokens.Load(); former != nil {
			for _, f := range *former {
				if f.hash == t.hash && f.readOnly == t.readOnly {
					t.holds, t.end = f.holds, f.end
				}
			}
		}
		if t.holds == nil {
			t.holds, t.end = context.WithCancel(s.ctx)
		}
		list = append(list, t)
	}
	for i, t := range all {
		add(newToken(t, i, false))
	}
	for i, t := range read {
		add(newToken(t, i, true))
	}
	return list
}
