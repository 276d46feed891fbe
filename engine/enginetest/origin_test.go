package enginetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestPatternIsTheSameHoweverItIsRead(t *testing.T) {
	token := NewToken(rand.New(rand.NewPCG(1, 2)))
	if back, err := ParseToken(token.String()); err != nil || back != token {
		t.Fatalf("%v, %v", back, err)
	}
	for _, n := range []int64{0, 1, 31, 32, 33, 1000} {
		whole, _ := io.ReadAll(NewPattern(token, n))
		bytewise, _ := io.ReadAll(iotest.OneByteReader(NewPattern(token, n)))
		sum := sha256.Sum256(whole)
		if int64(len(whole)) != n || !bytes.Equal(whole, bytewise) || PatternDigest(token, n) != hex.EncodeToString(sum[:]) {
			t.Fatalf("%d bytes: %x and %x", n, whole, bytewise)
		}
	}
}

// withOrigin runs f with an origin in a bubble and a transport that reaches it.
func withOrigin(t *testing.T, f func(t *testing.T, o *Origin, tr *http.Transport)) {
	synctest.Test(t, func(t *testing.T) {
		o, ln := NewOrigin(), NewListener(80)
		stop := o.Serve(ln)
		tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return ln.Dial(ctx) }}
		defer stop()
		defer tr.CloseIdleConnections()
		f(t, o, tr)
	})
}

func request(t *testing.T, ctx context.Context, method, target string, token Token, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://origin.test"+target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(TokenField, token.String())
	return req
}

func TestOriginAnswersAsAsked(t *testing.T) {
	token := NewToken(rand.New(rand.NewPCG(3, 4)))
	tests := []struct {
		name, method, target, body string
		status                     int
		content                    string
		trailer                    string // name that must come
		broken                     bool
	}{
		{"echo", "POST", "/echo", "hello", 200, "hello", "X-Trailer-Sha256", false},
		{"size", "GET", "/size?n=32", "", 200, token.String(), "", false},
		{"size of unknown length", "GET", "/size?n=32&chunked=1", "", 200, token.String(), "X-Trailer-Sha256", false},
		{"early", "POST", "/early", "hello", 413, "", "", false},
		{"abort of known length", "GET", "/abort?n=64&at=32", "", 200, token.String(), "", true},
		{"abort of unknown length", "GET", "/abort?n=64&at=32&chunked=1", "", 200, token.String(), "", true},
		{"slow", "GET", "/slow?n=32&every=1s", "", 200, token.String(), "", false},
		{"sse", "GET", "/sse?n=2&every=1s", "", 200, "data: 0\n\ndata: 1\n\n", "", false},
		{"trailers", "GET", "/trailers", "", 200, "with trailers", "Unannounced", false},
		{"redirect", "GET", "/redirect", "", 302, "<a href=\"/size?n=5\">Found</a>.\n\n", "", false},
		{"no content", "GET", "/status?code=204", "", 204, "", "", false},
		{"not modified", "GET", "/status?code=304", "", 304, "", "", false},
		{"duplex", "POST", "/duplex", "hello", 200, "hello", "", false},
		{"unknown", "GET", "/nothing", "", 404, "404 page not found\n", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withOrigin(t, func(t *testing.T, o *Origin, tr *http.Transport) {
				resp, err := tr.RoundTrip(request(t, t.Context(), tt.method, tt.target, token, strings.NewReader(tt.body)))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				if resp.StatusCode != tt.status || string(got) != tt.content || (err != nil) != tt.broken {
					t.Fatalf("status %d, content %q, %v", resp.StatusCode, got, err)
				}
				if tt.trailer != "" && resp.Trailer.Get(tt.trailer) == "" {
					t.Fatalf("trailers %v", resp.Trailer)
				}
				if resp.Header.Get(TokenField) != token.String() {
					t.Fatalf("fields %v", resp.Header)
				}
				synctest.Wait()
				if s := o.Seen(token); s.Requests != 1 || !s.Ended {
					t.Fatalf("%+v", s)
				}
			})
		})
	}
}

func TestOriginHints(t *testing.T) {
	withOrigin(t, func(t *testing.T, _ *Origin, tr *http.Transport) {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == 103 && h.Get("Link") != "" {
				hints++
			}
			return nil
		}})
		resp, err := tr.RoundTrip(request(t, ctx, "GET", "/hints", Token{}, nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if hints != 1 || resp.StatusCode != 200 {
			t.Fatalf("%d hints, status %d", hints, resp.StatusCode)
		}
	})
}

func TestOriginSeesCancellation(t *testing.T) {
	withOrigin(t, func(t *testing.T, o *Origin, tr *http.Transport) {
		token := Token{1}
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := tr.RoundTrip(request(t, ctx, "GET", "/hang", token, nil))
			failed <- err
		}()
		if _, err := o.Await(t.Context(), token, func(s Seen) bool { return s.Requests == 1 }); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if _, err := o.Await(t.Context(), token, func(s Seen) bool { return s.Cancelled && s.Ended }); err != nil {
			t.Fatal(err)
		}
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := o.Await(short, Token{2}, func(s Seen) bool { return s.Complete }); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("waited for what never comes: %v", err)
		}
	})
}

func TestOriginUpgradesAndEchoesRaw(t *testing.T) {
	withOrigin(t, func(t *testing.T, _ *Origin, tr *http.Transport) {
		req := request(t, t.Context(), "GET", "/upgrade", Token{2}, nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "chat")
		resp, err := tr.RoundTrip(req)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "chat" {
			t.Fatalf("%+v, %v", resp, err)
		}
		rw := resp.Body.(io.ReadWriteCloser)
		_, _ = rw.Write([]byte("raw"))
		var p [3]byte
		if _, err := io.ReadFull(rw, p[:]); err != nil || string(p[:]) != "raw" {
			t.Fatalf("%q, %v", p, err)
		}
		_ = rw.Close()
	})
}

func TestOriginReportsContentOfAnotherToken(t *testing.T) {
	withOrigin(t, func(t *testing.T, o *Origin, tr *http.Transport) {
		resp, err := tr.RoundTrip(request(t, t.Context(), "POST", "/echo", Token{3}, NewPattern(Token{4}, 100)))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if c := o.Crossed(); len(c) != 1 {
			t.Fatalf("%q", c)
		}
	})
}

func TestOriginSpeaksH2C(t *testing.T) {
	withOrigin(t, func(t *testing.T, _ *Origin, tr *http.Transport) {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
		resp, err := tr.RoundTrip(request(t, t.Context(), "POST", "/duplex", Token{5}, strings.NewReader("two")))
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("%+v, %v", resp, err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != "two" {
			t.Fatalf("%q, %v", got, err)
		}
	})
}
