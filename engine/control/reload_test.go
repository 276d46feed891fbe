package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

// over asks over TLS with a token.
func over(t *testing.T, client *http.Client, method, url, token, content string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// A token that was taken away must open nothing more, and what it had opened
// must end: a stream lives as long as its reader wants.
func TestTokenThatIsTakenAway(t *testing.T) {
	rig := newRig(t, scene(1), withTokens)
	addr, trust := rig.secure(t)
	transport := &http.Transport{TLSClientConfig: trust}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	base := "https://" + addr

	streams := map[string]*bufio.Reader{}
	for _, token := range []string{"all-powerful", "only-looking"} {
		resp := over(t, client, http.MethodGet, base+"/v1/stream", token, "")
		streams[token] = bufio.NewReader(resp.Body)
		if _, err := streams[token].ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	settings := []engine.Setting{{Name: "listen", Value: "127.0.0.1:9", Source: "adit.yaml:2"}}
	rig.server.Update(settings, []string{"new=another-one"}, []string{"only-looking"})
	if _, err := io.Copy(io.Discard, streams["all-powerful"]); err == nil {
		t.Log("the stream ended as a whole")
	}
	for token, want := range map[string]int{"all-powerful": 401, "another-one": 200, "only-looking": 200} {
		if got := over(t, client, http.MethodGet, base+"/v1/settings", token, "").StatusCode; got != want {
			t.Errorf("%s: status %d, want %d", token, got, want)
		}
	}
	if line, err := streams["only-looking"].ReadString('\n'); err != nil || line == "" {
		t.Errorf("the stream of a token that holds ended: %q, %v", line, err)
	}
	text, err := io.ReadAll(over(t, client, http.MethodGet, base+"/v1/settings", "another-one", "").Body)
	if err != nil || !strings.Contains(string(text), "adit.yaml:2") {
		t.Errorf("settings of before the reload: %s, %v", text, err)
	}
	// What makes of a reader an operator is another credential.
	rig.server.Update(settings, []string{"only-looking"}, nil)
	if got := over(t, client, http.MethodPost, base+"/v1/reload", "only-looking", `{"reason":"x"}`).StatusCode; got != 200 {
		t.Errorf("status %d for who may act now", got)
	}
}

func TestReloadIsAnswered(t *testing.T) {
	broken := errors.New("nothing has changed: adit.yaml:3: ping: soon")
	var by engine.Operator
	rig := newRig(t, scene(1), func(o *Options) {
		o.Reload = func(_ context.Context, who engine.Operator) (Reloaded, error) {
			by = who
			if who.Reason == "broken" {
				return Reloaded{}, broken
			}
			return Reloaded{Changed: []string{"secret", "allow"}, Restart: []string{"listen"}}, nil
		}
	})
	client := rig.client(t)
	ask := func(reason string) (int, string) {
		resp, err := client.Post("http://adit/v1/reload", "application/json", strings.NewReader(`{"reason":"`+reason+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(text))
	}
	if code, text := ask("new rules"); code != 200 || text != `{"changed":["secret","allow"],"restart":["listen"]}` {
		t.Errorf("%d %s", code, text)
	}
	if by.Reason != "new rules" || !strings.HasSuffix(by.Name, "@unix") {
		t.Errorf("asked by %+v", by)
	}
	if code, text := ask("broken"); code != 422 || !strings.Contains(text, "adit.yaml:3") {
		t.Errorf("%d %s", code, text)
	}
}
