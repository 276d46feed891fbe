package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxDownload = 16 << 20
	photoSize   = 300 << 10
)

// A visit is one kind of request to the shop, and what comes of it.
type visit struct {
	method, path string
	weight       int
	status       int
	takes        time.Duration // at the origin, up to
	size         int           // of the response, bytes
	upload       int           // of the request, bytes
}

// visits are what callers of the shop ask for: %d is a number.
func visits() []visit {
	return []visit{
		{http.MethodGet, "/api/items?page=%d", 24, http.StatusOK, 12 * time.Millisecond, 18 << 10, 0},
		{http.MethodGet, "/api/items/%d", 18, http.StatusOK, 8 * time.Millisecond, 1200, 0},
		{http.MethodGet, "/static/app.js", 8, http.StatusNotModified, 2 * time.Millisecond, 0, 0},
		{http.MethodGet, "/api/search?q=lamp+%d", 10, http.StatusOK, 160 * time.Millisecond, 9 << 10, 0},
		{http.MethodPost, "/api/orders", 8, http.StatusCreated, 60 * time.Millisecond, 512, 2 << 10},
		{http.MethodPut, "/api/photos/%d", 3, http.StatusNoContent, 30 * time.Millisecond, 0, photoSize},
		{http.MethodDelete, "/api/carts/%d", 3, http.StatusNoContent, 9 * time.Millisecond, 0, 0},
		{http.MethodHead, "/api/items/%d", 2, http.StatusOK, 3 * time.Millisecond, 0, 0},
		{http.MethodGet, "/api/items/0", 4, http.StatusNotFound, 3 * time.Millisecond, 64, 0},
		{http.MethodPost, "/api/login", 3, http.StatusUnauthorized, 20 * time.Millisecond, 40, 90},
		{http.MethodPost, "/api/orders?token=demo-%d", 2, http.StatusConflict, 25 * time.Millisecond, 80, 1 << 10},
		{http.MethodGet, "/api/report?year=%d", 2, http.StatusServiceUnavailable, 700 * time.Millisecond, 120, 0},
		{http.MethodGet, "/old-shop", 1, http.StatusFound, time.Millisecond, 0, 0},
		{http.MethodPatch, "/api/stock/%d", 2, http.StatusInternalServerError, 40 * time.Millisecond, 200, 300},
	}
}

// wanted are the fields by which a caller tells the shop what to answer.
const (
	wantStatus = "X-Demo-Status"
	wantSize   = "X-Demo-Size"
	wantMillis = "X-Demo-Millis"
)

// shop answers as it is told, within bounds.
func shop(w http.ResponseWriter, r *http.Request) {
	number := func(name string, most int) int {
		n, _ := strconv.Atoi(r.Header.Get(name))
		return min(max(n, 0), most)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
	pause(r.Context(), time.Duration(number(wantMillis, 5000))*time.Millisecond)
	status, size := max(number(wantStatus, 599), http.StatusOK), number(wantSize, 1<<20)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Server", "demo-shop")
	if status == http.StatusFound {
		h.Set("Location", "/")
	}
	if strings.HasSuffix(r.URL.Path, "/login") {
		h.Set("WWW-Authenticate", `Bearer realm="shop"`)
		h.Set("Set-Cookie", "visit=not-a-secret-either; HttpOnly")
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	content := answerOf(r.URL.Path, status, size)
	h.Set("Content-Type", "application/json")
	if len(content) > 4<<10 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		content = compressed(content)
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(content)
	}
}

// download sends ?bytes=N, a little at a time.
func download(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("bytes"))
	if err != nil || n < 0 || n > maxDownload {
		n = maxDownload
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(n))
	part := make([]byte, 256<<10)
	for n > 0 {
		sent, err := w.Write(part[:min(n, len(part))])
		if err != nil {
			return
		}
		n -= sent
		pause(r.Context(), 15*time.Millisecond)
	}
}

// visitShop asks the shop for one thing or another.
func (c *callers) visitShop(client string) func(context.Context) error {
	all := visits()
	total := 0
	for _, v := range all {
		total += v.weight
	}
	base := "http://" + client + "." + domain + ":" + c.port
	return func(ctx context.Context) error {
		pick, v := rand.IntN(total), visit{}
		for _, v = range all {
			if pick -= v.weight; pick < 0 {
				break
			}
		}
		path := v.path
		if strings.Contains(path, "%d") {
			path = fmt.Sprintf(path, 1+rand.IntN(900))
		}
		content, mediaType := contentOf(v)
		r, err := http.NewRequestWithContext(ctx, v.method, base+path, bytes.NewReader(content))
		if err != nil {
			return err
		}
		if mediaType != "" {
			r.Header.Set("Content-Type", mediaType)
		}
		r.Header.Set(wantStatus, strconv.Itoa(v.status))
		r.Header.Set(wantSize, strconv.Itoa(v.size))
		r.Header.Set(wantMillis, strconv.FormatInt(rand.Int64N(v.takes.Milliseconds()+1), 10))
		r.Header.Set("Authorization", "Bearer not-a-secret")
		r.Header.Set("Cookie", "visit=not-a-secret-either")
		r.Header.Set("User-Agent", "demo-browser/1.0")
		return drain(c.browser.Do(r))
	}
}

// download fetches a few megabytes.
func (c *callers) download(ctx context.Context) error {
	target := fmt.Sprintf("http://stream.%s:%s/download?bytes=%d", domain, c.port, (2+rand.IntN(6))<<20)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	return drain(c.direct.Do(r))
}

// forbidden asks for a destination that no rule allows.
func (c *callers) forbidden(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.front+"/request", nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-PROXY-DESTINATION", "http://169.254.169.254/latest/meta-data")
	r.Header.Set("X-PROXY-CLIENT", "fast")
	return drain(c.direct.Do(r))
}

// stranger registers with a greeting that nobody understands.
func (c *callers) stranger(ctx context.Context) error {
	dialer := websocket.Dialer{NetDialContext: c.dialFront, HandshakeTimeout: 5 * time.Second}
	ws, _, err := dialer.DialContext(ctx, "ws://"+c.front+"/register", nil)
	if err != nil {
		return fmt.Errorf("dial as a stranger: %w", err)
	}
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	text, err := json.Marshal("let me in")
	if err != nil {
		return err
	}
	if err := ws.WriteMessage(websocket.TextMessage, text); err != nil {
		return err
	}
	_, _, err = ws.ReadMessage()
	if websocket.IsCloseError(err, websocket.ClosePolicyViolation, websocket.CloseProtocolError, websocket.CloseUnsupportedData, websocket.CloseInvalidFramePayloadData) {
		return nil
	}
	return err
}
