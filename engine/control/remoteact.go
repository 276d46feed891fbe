package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/inspect"
)

// act makes a call that changes something. It is not made while the link is lost:
// what is on the screen is old then.
func (r *Remote) act(ctx context.Context, method, path string, content any, out any) error {
	return r.actWithin(ctx, queryWait, method, path, content, out)
}

func (r *Remote) actWithin(ctx context.Context, wait time.Duration, method, path string, content any, out any) error {
	link := r.Link()
	switch {
	case link.Lost:
		return r.lost(&link)
	case link.ReadOnly:
		return fmt.Errorf("%w: %s may only look", engine.ErrReadOnly, link.Name)
	}
	b, err := json.Marshal(content)
	if err != nil {
		return err
	}
	body, _, err := r.call(ctx, wait, method, path, b, "")
	r.mu.Lock()
	r.did = time.Now()
	r.mu.Unlock()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w; it may have been done: look before you try again", err)
		}
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of the other end can't be read: %w", err)
	}
	return nil
}

// acted returns when something was done last.
func (r *Remote) acted() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.did
}

func because(by engine.Operator) cause { return cause{Reason: engine.Bound(by.Reason)} }

// CloseConnection implements [engine.Engine].
func (r *Remote) CloseConnection(ctx context.Context, id engine.ConnectionID, code engine.CloseCode, by engine.Operator) error {
	if id == 0 {
		return engine.ErrNotFound
	}
	return r.act(ctx, http.MethodPost, "/v1/connections/"+id.String()+"/close", struct {
		cause
		Code engine.CloseCode `json:"code"`
	}{because(by), code}, nil)
}

// banPath returns the path of the ban of a client. Its id is any text: dots alone
// would be taken for a way up.
func banPath(client string) string {
	if client == "." || client == ".." {
		return "/v1/bans/" + strings.Repeat("%2E", len(client))
	}
	return "/v1/bans/" + url.PathEscape(client)
}

// Ban implements [engine.Engine].
func (r *Remote) Ban(ctx context.Context, client string, by engine.Operator) error {
	return r.act(ctx, http.MethodPut, banPath(client), because(by), nil)
}

// Unban implements [engine.Engine].
func (r *Remote) Unban(ctx context.Context, client string, by engine.Operator) error {
	return r.act(ctx, http.MethodDelete, banPath(client), because(by), nil)
}

// CancelExchange implements [engine.Engine].
func (r *Remote) CancelExchange(ctx context.Context, id engine.RequestID, by engine.Operator) error {
	if id == 0 {
		return engine.ErrNotFound
	}
	return r.act(ctx, http.MethodPost, "/v1/requests/"+id.String()+"/cancel", because(by), nil)
}

// Drain implements [engine.Engine].
func (r *Remote) Drain(ctx context.Context, id engine.ConnectionID, by engine.Operator) error {
	if id == 0 {
		return r.act(ctx, http.MethodPost, "/v1/drain", because(by), nil)
	}
	return r.act(ctx, http.MethodPost, "/v1/connections/"+id.String()+"/drain", because(by), nil)
}

// A replayed is the answer to a replay.
type replayed struct {
	ID string `json:"id"`
}

// Replay implements [engine.Engine].
func (r *Remote) Replay(ctx context.Context, again engine.Replay, by engine.Operator) (engine.RequestID, error) {
	c := replayCall{cause: because(by), Of: again.Of.String(), Client: again.Client, Method: again.Method,
		Target: again.Target, Fields: fieldLines(again.Fields), Content: again.Content}
	if again.Way != 0 {
		c.Way = again.Way.String()
	}
	if len(again.Content) > engine.MaxReplay {
		return 0, fmt.Errorf("%w: %d bytes of content, of at most %d", engine.ErrTooMuch, len(again.Content), engine.MaxReplay)
	}
	var w replayed
	if err := r.act(ctx, http.MethodPost, "/v1/replay", c, &w); err != nil {
		return 0, err
	}
	return engine.ParseRequestID(w.ID)
}

// ReplayEdited sends again what the other end has kept of a request, changed
// there: what was captured need not come here first.
func (r *Remote) ReplayEdited(ctx context.Context, id engine.RequestID, e *inspect.Edits, by engine.Operator) (engine.RequestID, error) {
	c := editsCall{cause: because(by), Client: e.Client, Method: e.Method, Target: e.Target, Set: fieldLines(e.Set), Remove: e.Remove}
	if e.Content != nil {
		c.Content = &e.Content
	}
	var w replayed
	if err := r.act(ctx, http.MethodPost, "/v1/requests/"+id.String()+"/replay", c, &w); err != nil {
		return 0, err
	}
	return engine.ParseRequestID(w.ID)
}

// SetCapture implements [engine.Engine].
func (r *Remote) SetCapture(ctx context.Context, c engine.Capture, by engine.Operator) error {
	return r.act(ctx, http.MethodPut, "/v1/capture", captureCall{because(by), c.Mode.String(), c.Content}, nil)
}
