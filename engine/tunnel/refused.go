package tunnel

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gorilla/websocket"
)

// maxSaid bounds what a server says about its refusal of a handshake, in bytes.
const maxSaid = 160

// handshakeError turns what the library returns into a *DialError. sent is what
// the handshake had among its fields.
func handshakeError(resp *http.Response, err error, sent http.Header) *DialError {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if resp == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return &DialError{Err: fmt.Errorf("dial: %w", err)}
	}
	// The library has read it, 1024 bytes at most.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	d := &DialError{Status: resp.StatusCode, Err: fmt.Errorf("opening handshake: the server answered %d %s%s",
		resp.StatusCode, http.StatusText(resp.StatusCode), explanation(resp, string(body), sent))}
	if n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 32); err == nil {
		d.RetryAfter = time.Duration(n) * time.Second
	}
	return d
}

// explanation returns ": " and what the server says in one short line, or what we know of
// such an answer. What stands there is not ours: it may be another service, which
// shows the credential that it was sent.
func explanation(resp *http.Response, body string, sent http.Header) string {
	if resp.StatusCode == http.StatusBadRequest && strings.Contains(body, "HTTPS") {
		return ": it wants TLS; is it wss:// and not ws://?"
	}
	line := strings.TrimSpace(body)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "text/plain" && line != "" && len(line) <= maxSaid && !strings.ContainsFunc(line, isUnprintable) && !shows(line, sent) {
		return ": " + line
	}
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return ": it wants a credential of this client"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusOK:
		return ": no registry is at this path, which usually is /register"
	}
	return ""
}

func isUnprintable(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }

// shows reports whether a value of a field stands in the text, or one of its words.
func shows(text string, fields http.Header) bool {
	for _, values := range fields {
		for _, value := range values {
			for word := range strings.FieldsSeq(value) {
				if strings.Contains(text, word) {
					return true
				}
			}
		}
	}
	return false
}
