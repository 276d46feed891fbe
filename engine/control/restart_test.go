package control

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// A successor has half a minute to get ready: who asked for it must hear what came
// of it, and not after five seconds that there is no answer.
func TestRestartThatTakesLong(t *testing.T) {
	for name, late := range map[string]error{"ready": nil, "not ready": errors.New("it took more than 30s; nothing has changed")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := enginetest.NewListener(9443)
				fake := enginetest.NewFake(scene(1))
				defer fake.End()
				cert, pool := certificate(t)
				s := NewServer(Options{Engine: fake, Log: newLog(), Tokens: []string{"root=all-powerful"}, Restart: func(ctx context.Context, _ engine.Operator) (Restarted, error) {
					select {
					case <-ctx.Done():
						return Restarted{}, ctx.Err()
					case <-time.After(30 * time.Second):
						return Restarted{PID: 4711}, late
					}
				}})
				served := make(chan error, 1)
				go func() { served <- s.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}})) }()
				r, err := Dial(t.Context(), "https://adit.test", DialOptions{Token: "all-powerful", TLS: &tls.Config{RootCAs: pool},
					DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return ln.Dial(ctx) }})
				if err != nil {
					t.Fatal(err)
				}
				soon, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := r.Wait(soon); err != nil {
					t.Fatal(err, r.Link())
				}
				got, err := r.Restart(t.Context(), engine.Operator{})
				if late == nil && (err != nil || got.PID != 4711) || late != nil && (err == nil || !strings.Contains(err.Error(), late.Error())) {
					t.Errorf("%+v, %v, want %v", got, err, late)
				}
				r.Close()
				_ = s.Close()
				<-served
			})
		})
	}
}
