//go:build chaos

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLargeContent sends content of gigabytes both ways while content is captured:
// it passes as it comes, and costs less than 32 MiB at either end.
func TestLargeContent(t *testing.T) {
	r := newRig(t, serverFlags("--events", "lifecycle", "--capture", "content"),
		clientFlags("--events", "lifecycle", "--capture", "content"))
	r.works(t, 5*time.Second)
	const mib = 1 << 20
	size := int64(pick(t, 256, 1024, 10*1024)) * mib
	for name, pass := range map[string]func() (int64, error){
		"download": func() (int64, error) {
			return r.transfer(http.MethodGet, fmt.Sprintf("/size?n=%d&plain=1", size), nil)
		},
		"upload": func() (int64, error) {
			sent := io.LimitReader(nothing{}, size)
			_, err := r.transfer(http.MethodPost, "/size?n=1&plain=1", sent)
			return size - sent.(*io.LimitedReader).N, err
		},
	} {
		server, client := r.server.usage(), r.client.usage()
		began := time.Now()
		n, err := pass()
		took := time.Since(began)
		if err != nil || n != size {
			t.Errorf("%s: %d of %d bytes, %v", name, n, size, err)
		}
		after, clientAfter := r.server.usage(), r.client.usage()
		t.Logf("%s of %d MiB: %.0f MB/s, server peak %+d MiB, client peak %+d MiB", name, size/mib, float64(n)/1e6/took.Seconds(),
			(after.peak-server.rss)/mib, (clientAfter.peak-client.rss)/mib)
		if raceEnabled {
			continue
		}
		if more := max(after.peak-server.rss, clientAfter.peak-client.rss); more > 32*mib {
			t.Errorf("%s of %d MiB cost %d MiB", name, size/mib, more/mib)
		}
	}
}

// nothing never ends.
type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// transfer sends one request by host name and returns how much content came back.
func (r *rig) transfer(method, target string, content io.Reader) (int64, error) {
	req, err := http.NewRequest(method, "http://"+r.addr+target, content)
	if err != nil {
		return 0, err
	}
	req.Host = "app." + domain
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.Copy(io.Discard, resp.Body)
}

// TestManyRows asks a server with a history of a million requests for what some
// filters select, over its control socket.
func TestManyRows(t *testing.T) {
	dir, err := os.MkdirTemp("", "adit-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path, socket := filepath.Join(dir, "history.db"), filepath.Join(dir, "s.sock")
	r := newRig(t, kept(path))
	r.works(t, 5*time.Second)
	r.stopped(t)
	r.client.kill()

	rows := pick(t, 200_000, 1_000_000, 10_000_000)
	db := database(t, path)
	last := number(t, db, "SELECT max(id) FROM requests")
	if _, err := db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO requests (id, arrived, status, outcome, way, protocol, conn, method, target, client, caller,
			request_bytes, response_bytes, queued_us, sent_us, connect_us, first_byte_us, last_byte_us)
		SELECT ? + i, ? + i * 1000000, CASE WHEN i % 1000 = 0 THEN 502 ELSE 200 END, 'completed', 'host', 'adit.v1', 1 + i % 40,
			CASE i % 4 WHEN 0 THEN 'POST' ELSE 'GET' END, 'http://shop.example/api/orders/' || i, 'edge-' || (i % 7), '192.0.2.' || (i % 250) || ':50123',
			0, i % 5000, 20, 40, 0, 900, 1000 + i * 7919 % 900000 FROM n`, rows, last, time.Now().Add(-time.Hour*20).UnixNano()); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE kept SET requests = (SELECT count(*) FROM requests)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE runs SET last_request = ?", last+int64(rows)); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()

	began := time.Now()
	r.serverFlags = append(r.serverFlags, "--control", socket)
	r.startServer()
	t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer web.CloseIdleConnections()
	for _, q := range []struct {
		filter string
		want   int
	}{
		{"status:>=500", rows / 1000},
		{"path:/nothing", 0},
		{"dur:>100ms method:POST client:edge-3", -1},
		{"client:nobody", 0},
		{"status:>=500", rows / 1000}, // again
	} {
		began := time.Now()
		resp, err := web.Get("http://adit/v1/requests?complete=true&limit=100&filter=" + url.QueryEscape(q.filter))
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Matched   int  `json:"matched"`
			Searching bool `json:"searching"`
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		_ = resp.Body.Close()
		took := time.Since(began)
		t.Logf("%-40s %7d of %d in %v", q.filter, page.Matched, rows, took.Round(time.Millisecond))
		if err != nil || resp.StatusCode != http.StatusOK || page.Searching || q.want >= 0 && page.Matched != q.want {
			t.Errorf("%s: %s, %+v, %v", q.filter, resp.Status, page, err)
		}
	}
}
