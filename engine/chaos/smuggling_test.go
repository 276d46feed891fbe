//go:build chaos

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSmuggling is row 18: requests that two readers may frame differently, from
// callers to origin servers of four kinds, over both protocols. No origin may
// read a request that the gateway did not, nor one of another method or length,
// and every caller gets the answers to its own requests, in their order.
func TestSmuggling(t *testing.T) {
	for _, protocol := range []string{"native", "classic", "TLS"} {
		t.Run(protocol, func(t *testing.T) {
			origins := witnesses(t)
			if len(origins) == 0 {
				t.Skip("skipped: neither nginx, apache, node nor haproxy is installed")
			}
			var options []option
			every := 1
			switch protocol {
			case "classic":
				options = classic()
			case "TLS":
				options, every = []option{secured}, 12
			}
			for _, w := range origins {
				if protocol != "classic" {
					options = append(options, clientFlags("--expose", w.name+"=http://"+w.addr))
				}
			}
			r := newRig(t, append(options, serverFlags("--timeout", "3s"))...)
			r.server.keepRequests()
			r.works(t, 5*time.Second)
			sent := smuggle(t, r, origins, every, protocol == "classic")
			t.Logf("%d raw requests, %d answers to them, %d times the request that followed was answered too", sent.raw, sent.answers, sent.markers)
			if sent.markers < sent.raw/20 || sent.answers < sent.raw/2 {
				t.Errorf("of %d raw requests %d got an answer and %d the one that followed: too few to show anything", sent.raw, sent.answers, sent.markers)
			}
			agree(t, origins, r.server.finished)
		})
	}
}

// smuggled counts what came of attacks.
type smuggled struct {
	mu                    sync.Mutex
	raw, answers, markers int
}

// smuggle sends every n-th attack to a share of the origins, each on a connection of
// its own, and after each an honest request of somebody else, who would see what
// was left over in between.
func smuggle(t *testing.T, r *rig, origins []*witness, every int, classic bool) *smuggled {
	type shot struct {
		attack
		id     string
		origin *witness
	}
	shots := make(chan shot)
	sent, wrong := &smuggled{}, &complaints{t: t}
	victims := &http.Transport{MaxIdleConnsPerHost: 32,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return r.connect(ctx, addr) }}
	defer victims.CloseIdleConnections()
	if classic {
		victims.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: r.addr})
	}
	var shooters sync.WaitGroup
	for range 32 {
		shooters.Go(func() {
			for s := range shots {
				base, host := "", s.origin.name+"."+domain
				if classic {
					base, host = "http://"+s.origin.addr, s.origin.addr
				}
				own := base
				if !classic {
					own = "http://" + host
				}
				fill := strings.NewReplacer("{D}{A}", own+"/a-"+s.id, "{A}", base+"/a-"+s.id, "{S}", base+"/s-"+s.id, "{M}", base+"/m-"+s.id, "{H}", host)
				patience := 250 * time.Millisecond
				if s.family == "well-formed, pipelined" {
					patience = 10 * time.Second
				}
				answers, err := shout(r, fill.Replace(s.raw), patience)
				if err != nil {
					wrong.add("%s %s: %v\n%.300q", s.origin.name, s.family, err, s.raw)
				}
				if problem := misplaced(answers, s.id); problem != "" {
					wrong.add("%s %s: %s\n%.300q", s.origin.name, s.family, problem, s.raw)
				}
				if s.family == "well-formed, pipelined" && (len(answers) == 0 || !strings.HasSuffix(answers[len(answers)-1], "/m-"+s.id)) {
					wrong.add("%s: well-formed requests in one write got %q", s.origin.name, answers)
				}
				sent.count(answers, s.id)
				if seen, err := honest(victims, r.addr, host, s.id, classic); err != nil || !strings.HasSuffix(seen, "/v-"+s.id) {
					wrong.add("%s %s: after it an honest request got the answer to %q, %v\n%.300q", s.origin.name, s.family, seen, err, s.raw)
				}
			}
		})
	}
	share := min(len(origins), pick(t, 1, len(origins), len(origins)))
	for i, a := range attacks() {
		if i%every != 0 {
			continue
		}
		for n := range share {
			w := origins[(i+n)%len(origins)]
			shots <- shot{a, w.name + "-" + strconv.Itoa(i), w}
		}
	}
	close(shots)
	shooters.Wait()
	return sent
}

func (s *smuggled) count(answers []string, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw++
	if len(answers) > 0 {
		s.answers++
	}
	for _, a := range answers {
		if strings.HasSuffix(a, "/m-"+id) {
			s.markers++
		}
	}
}

// honest sends one well-formed request and returns which the answer was for.
func honest(tr *http.Transport, addr, host, id string, classic bool) (string, error) {
	target := "http://" + addr + "/v-" + id
	if classic {
		target = "http://" + host + "/v-" + id
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	req.Host = host
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("X-Seen"), err
}

// shout writes raw on a new connection and returns which request each answer was
// for, or its status where no origin gave it, until the connection ends or
// nothing comes for as long as patience. An answer that is no HTTP is an error.
func shout(r *rig, raw string, patience time.Duration) (answers []string, err error) {
	conn, err := r.connect(context.Background(), r.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, raw); err != nil {
		return nil, nil // refused before it was read to its end
	}
	method, _, _ := strings.Cut(raw, " ")
	br := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := br.Peek(1); err != nil {
			return answers, nil
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			if quiet(err) {
				return answers, nil
			}
			return answers, fmt.Errorf("an answer that is no HTTP: %w", err)
		}
		if resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		seen := resp.Header.Get("X-Seen")
		if seen == "" {
			seen = strconv.Itoa(resp.StatusCode)
		}
		answers = append(answers, seen)
		if resp.StatusCode == http.StatusSwitchingProtocols || method == http.MethodConnect && resp.StatusCode == http.StatusOK {
			return answers, nil
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			if quiet(err) {
				return answers, nil
			}
			return answers, fmt.Errorf("the content of an answer: %w", err)
		}
		if resp.Close {
			return answers, nil
		}
		method = http.MethodGet
	}
}

// quiet reports whether err says no more than that nothing came.
func quiet(err error) bool {
	var op *net.OpError
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &op)
}

// named finds which of the test's requests a target belongs to.
var named = regexp.MustCompile(`/([asmv])-([a-z]+-\d+)`)

// misplaced says what is wrong with the answers on one connection: they are for
// its own requests, the attack's before the hidden one's before the marker's.
func misplaced(answers []string, id string) string {
	order := "asm"
	at := 0
	for _, a := range answers {
		m := named.FindStringSubmatch(a)
		if m == nil {
			continue // the gateway's own, or for a target that is not the attack's
		}
		if m[2] != id {
			return fmt.Sprintf("an answer to %q of somebody else", a)
		}
		now := strings.Index(order, m[1])
		if now < at {
			return fmt.Sprintf("answers out of order: %q", answers)
		}
		at = now
	}
	return ""
}

// disagreements compares what the gateway parsed with the lines of an origin. A
// line without a name, by which haproxy says that it refused a head, stands for a
// request of which nothing else is seen and which was answered so.
func disagreements(origin string, parsed []event, lines []string) (wrong []string) {
	type request struct{ method, name string }
	sent := map[request][]event{}
	for _, e := range parsed {
		if m := named.FindString(e.Target); strings.Contains(m, origin) {
			r := request{e.Method, m}
			sent[r] = append(sent[r], e)
		}
	}
	var nameless []string
	for _, line := range lines {
		head, length, _ := cutLast(line, "|")
		method, _, _ := strings.Cut(head, " ")
		r := request{method, named.FindString(head)}
		candidates := sent[r]
		switch {
		case strings.HasPrefix(r.name, "/v-start-") || r.name == "" && strings.HasPrefix(head, "OPTIONS * "):
		case r.name == "":
			nameless = append(nameless, line)
		case len(candidates) == 0:
			wrong = append(wrong, fmt.Sprintf("%s read %q, and the gateway read no such request, or not so often", origin, line))
		default:
			at := 0
			if n, err := strconv.ParseInt(length, 10, 64); err == nil && n >= 0 {
				if at = slices.IndexFunc(candidates, func(e event) bool { return e.Content == n }); at < 0 {
					wrong = append(wrong, fmt.Sprintf("%s read %q, whose content has %d bytes, the gateway says", origin, line, candidates[0].Content))
					at = 0
				}
			}
			sent[r] = slices.Delete(candidates, at, at+1)
		}
	}
	refused := 0
	for _, unseen := range sent {
		for _, e := range unseen {
			if e.Status == http.StatusBadRequest && e.Outcome == "completed" {
				refused++
			}
		}
	}
	for _, line := range nameless[min(refused, len(nameless)):] {
		wrong = append(wrong, fmt.Sprintf("%s read %q, which is no request that was sent to it", origin, line))
	}
	return wrong
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// TestSmugglingIsSeen checks the judge of TestSmuggling: what must not be, it
// finds.
func TestSmugglingIsSeen(t *testing.T) {
	parsed := []event{{Method: "POST", Target: "http://x/a-node-1", Content: 5}, {Method: "GET", Target: "http://x/m-node-1"}}
	for name, lines := range map[string][]string{
		"a hidden request":    {"POST /a-node-1|5", "GET /s-node-1|0", "GET /m-node-1|0"},
		"twice":               {"POST /a-node-1|5", "GET /m-node-1|0", "GET /m-node-1|0"},
		"another method":      {"PUT /a-node-1|5"},
		"another length":      {"POST /a-node-1|6"},
		"what is no request":  {"bad HPE_INVALID_METHOD hello"},
		"a line of something": {"0"},
	} {
		if len(disagreements("node", parsed, lines)) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	if wrong := disagreements("node", parsed, []string{"POST /a-node-1|5", "GET /m-node-1|0", "OPTIONS * HTTP/1.1"}); len(wrong) > 0 {
		t.Errorf("found what is right: %q", wrong)
	}
	for name, answers := range map[string][]string{
		"of somebody else": {"GET /m-node-2"},
		"out of order":     {"GET /m-node-1", "POST /a-node-1"},
	} {
		if misplaced(answers, "node-1") == "" {
			t.Errorf("answers %s: not found", name)
		}
	}
	if problem := misplaced([]string{"POST /a-node-1", "400"}, "node-1"); problem != "" {
		t.Error(problem)
	}
}
