package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

// curlLines returns the lines of doc.go that are for a shell.
func curlLines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if line, ok := strings.CutPrefix(strings.TrimSpace(line), "//\tcurl --unix-socket SOCKET "); ok {
			all = append(all, line)
		}
	}
	return all
}

// words splits a line as a shell does that knows single quotes only.
func words(line string) []string {
	var all []string
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimLeft(rest, " ") {
		var word string
		if strings.HasPrefix(rest, "'") {
			word, rest, _ = strings.Cut(rest[1:], "'")
		} else {
			word, rest, _ = strings.Cut(rest, " ")
		}
		all = append(all, word)
	}
	return all
}

// requestOfCurl is what curl would send.
func requestOfCurl(line string) (*http.Request, error) {
	method, content, target, get := "", "", "", false
	params := []string{}
	list := words(line)
	for i := 0; i < len(list); i++ {
		next := func() string { i++; return list[i] }
		switch list[i] {
		case "-N", "--compressed":
		case "-G":
			get = true
		case "-X":
			method = next()
		case "--json":
			content = next()
		case "-d":
			params = append(params, next())
		case "--data-urlencode":
			name, value, _ := strings.Cut(next(), "=")
			params = append(params, name+"="+url.QueryEscape(value))
		default:
			target = list[i]
		}
	}
	if get {
		target += "?" + strings.Join(params, "&")
	}
	if method == "" {
		if method = http.MethodGet; content != "" {
			method = http.MethodPost
		}
	}
	r, err := http.NewRequest(method, target, strings.NewReader(content))
	if err == nil && content != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, err
}

// endless reports whether an answer does not end by itself.
func endless(target string) bool {
	return strings.Contains(target, "/v1/tail") || strings.Contains(target, "/v1/stream")
}

func TestLineOfTheDocumentationThatFails(t *testing.T) {
	rig := newRig(t, scene(1), withMetrics)
	client := rig.client(t)
	shown := map[string]bool{}
	mux := http.NewServeMux()
	for _, c := range calls() {
		mux.HandleFunc(c.pattern, func(http.ResponseWriter, *http.Request) {})
	}
	lines := curlLines(t)
	if len(lines) < len(calls()) {
		t.Fatalf("%d lines for %d calls", len(lines), len(calls()))
	}
	for _, line := range lines {
		if err := ask(t.Context(), rig, client, mux, shown, line); err != nil {
			t.Errorf("curl %s: %v", line, err)
		}
	}
	for _, c := range calls() {
		if !shown[c.pattern] {
			t.Errorf("no line shows %s", c.pattern)
		}
	}
}

// ask sends what curl would, and notes which call it was.
func ask(ctx context.Context, rig *rig, client *http.Client, mux *http.ServeMux, shown map[string]bool, line string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := requestOfCurl(line)
	if err != nil {
		return err
	}
	_, pattern := mux.Handler(r)
	shown[pattern] = true
	resp, err := client.Do(r.WithContext(ctx))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	switch {
	case endless(r.URL.Path):
		if strings.HasPrefix(r.URL.Path, "/v1/tail") {
			failed := record(8)
			failed.Status = 500
			rig.engine.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &failed},
				engine.Event{Kind: engine.KindConnectionOpened, Connection: 99, Client: "edge"})
		}
		return oneLineOf(resp.Body)
	case strings.Contains(r.URL.Path, "/content/"), !strings.HasPrefix(r.URL.Path, "/v1/"):
		_, err := io.Copy(io.Discard, resp.Body)
		return err
	}
	var v any
	return json.NewDecoder(resp.Body).Decode(&v)
}

func oneLineOf(r io.Reader) error {
	s := bufio.NewScanner(r)
	if !s.Scan() {
		return fmt.Errorf("no line: %v", s.Err())
	}
	if !json.Valid(s.Bytes()) {
		return fmt.Errorf("no JSON: %.100s", s.Bytes())
	}
	return nil
}

// What net/http understands curl may not: where there is one, it runs the lines.
func TestLineThatCurlCannotSend(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Log("there is no curl here")
		return
	}
	rig := newRig(t, scene(1), withMetrics)
	for _, line := range curlLines(t) {
		list := words(line)
		args := append([]string{"-sS", "--fail-with-body", "--unix-socket", rig.path, "--max-time", "5"}, list...)
		if strings.Contains(line, "--json") && !knowsJSON(curl) {
			for i, a := range args {
				if a == "--json" {
					args[i] = "-HContent-Type: application/json"
					args = append(args[:i+1], append([]string{"-d"}, args[i+1:]...)...)
					break
				}
			}
		}
		if endless(line) {
			args = append(args, "--max-time", "0.2")
		}
		var out bytes.Buffer
		c := exec.CommandContext(t.Context(), curl, args...)
		c.Stdout, c.Stderr = &out, &out
		err := c.Run()
		if exit, ok := as[*exec.ExitError](err); ok && endless(line) && exit.ExitCode() == 28 {
			err = nil // curl's time was over
		}
		if err != nil {
			t.Errorf("curl %s: %v\n%s", line, err, out.String())
		}
	}
}

// knowsJSON reports whether curl has --json (7.82).
func knowsJSON(curl string) bool {
	out, _ := exec.Command(curl, "--help", "all").Output()
	return bytes.Contains(out, []byte("--json"))
}
