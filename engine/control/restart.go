package control

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"adit/engine"
)

// restartWait bounds a restart. The process gives up earlier, and says why.
const restartWait = 40 * time.Second

// A Restarted is what came of a restart.
type Restarted struct {
	PID int `json:"pid"` // of the successor, which answers from now on
}

// restart answers POST /v1/restart.
func (s *Server) restart(x *exchange) error {
	by, err := x.because()
	if err != nil {
		return err
	}
	if s.o.Restart == nil {
		return fail(http.StatusConflict, "this run has no sockets that could be handed on: stop it and start it again")
	}
	control := http.NewResponseController(x.w)
	_ = control.SetReadDeadline(time.Now().Add(restartWait)) // a passed one ends the context
	_ = control.SetWriteDeadline(time.Now().Add(restartWait))
	got, err := s.o.Restart(x.r.Context(), by)
	if err != nil {
		return fail(http.StatusUnprocessableEntity, "%w", err)
	}
	return x.json(fmt.Appendf(nil, `{"pid":%d}`, got.PID))
}

// Restart has the other end start its successor, and returns when that serves. An
// error says what keeps it from that; nothing has changed then.
func (r *Remote) Restart(ctx context.Context, by engine.Operator) (Restarted, error) {
	var got Restarted
	err := r.actWithin(ctx, restartWait, http.MethodPost, "/v1/restart", because(by), &got)
	return got, err
}
