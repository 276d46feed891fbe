package inspect

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
)

// HAR writes exchanges as HAR 1.2 (one log with an entry for each) as next
// returns them, until it returns io.EOF; another error of next, or of w, ends it.
// What is written goes out entry by entry, so it takes the memory of one.
//
// Exchanges of bytes, which are no HTTP, are left out. What HAR has no member
// for stands in members that begin with an underscore, those of WebSocket
// messages and server-sent events as Chrome writes them.
func HAR(w io.Writer, creator, version string, next func() (Exchange, error), o Options) error {
	b := bufio.NewWriter(w)
	head, err := json.Marshal(map[string]string{"name": creator, "version": version})
	if err != nil {
		return err
	}
	b.WriteString(`{"log":{"version":"1.2","creator":`)
	b.Write(head)
	b.WriteString(`,"entries":[`)
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	for n := 0; ; {
		x, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		entry := harOf(&x, o)
		if entry == nil {
			continue
		}
		if n++; n > 1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		if err := encoder.Encode(entry); err != nil {
			return err
		}
	}
	b.WriteString("]}}\n")
	return b.Flush()
}

// What follows is HAR 1.2 (the specification of the Web Performance Working
// Group); a size or a time of -1 is not known.
type (
	harEntry struct {
		Started         string       `json:"startedDateTime"`
		Time            float64      `json:"time"` // ms
		Request         harRequest   `json:"request"`
		Response        harResponse  `json:"response"`
		Cache           struct{}     `json:"cache"`
		Timings         harTimings   `json:"timings"`
		Connection      string       `json:"connection,omitempty"`
		Comment         string       `json:"comment,omitempty"`
		ResourceType    string       `json:"_resourceType"`
		ID              string       `json:"_id"`
		Client          string       `json:"_client,omitempty"`
		Caller          string       `json:"_caller,omitempty"`
		Credential      string       `json:"_credential,omitempty"`
		Way             string       `json:"_way,omitempty"`
		Outcome         string       `json:"_outcome,omitempty"`
		Reason          string       `json:"_reason,omitempty"`
		Replay          bool         `json:"_replay,omitempty"`
		SocketMessages  []harMessage `json:"_webSocketMessages,omitempty"`
		StreamedEvents  []harEvent   `json:"_eventSourceMessages,omitempty"`
		EarlierMessages uint64       `json:"_messagesLost,omitempty"`
	}
	harRequest struct {
		Method      string       `json:"method"`
		URL         string       `json:"url"`
		HTTPVersion string       `json:"httpVersion"`
		Cookies     []harCookie  `json:"cookies"`
		Headers     []harPair    `json:"headers"`
		QueryString []harPair    `json:"queryString"`
		PostData    *harPostData `json:"postData,omitempty"`
		HeadersSize int64        `json:"headersSize"`
		BodySize    int64        `json:"bodySize"`
		Comment     string       `json:"comment,omitempty"`
	}
	harResponse struct {
		Status      int         `json:"status"`
		StatusText  string      `json:"statusText"`
		HTTPVersion string      `json:"httpVersion"`
		Cookies     []harCookie `json:"cookies"`
		Headers     []harPair   `json:"headers"`
		Content     harContent  `json:"content"`
		RedirectURL string      `json:"redirectURL"`
		HeadersSize int64       `json:"headersSize"`
		BodySize    int64       `json:"bodySize"`
		Comment     string      `json:"comment,omitempty"`
	}
	harPair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	harCookie struct {
		Name     string `json:"name"`
		Value    string `json:"value"`
		Path     string `json:"path,omitempty"`
		Domain   string `json:"domain,omitempty"`
		Expires  string `json:"expires,omitempty"`
		HTTPOnly bool   `json:"httpOnly,omitempty"`
		Secure   bool   `json:"secure,omitempty"`
	}
	harPostData struct {
		MimeType string    `json:"mimeType"`
		Params   []harPair `json:"params"`
		Text     string    `json:"text"`
		Encoding string    `json:"_encoding,omitempty"`
		Comment  string    `json:"comment,omitempty"`
	}
	harContent struct {
		Size        int64  `json:"size"`
		Compression *int64 `json:"compression,omitempty"`
		MimeType    string `json:"mimeType"`
		Text        string `json:"text,omitempty"`
		Encoding    string `json:"encoding,omitempty"`
		Comment     string `json:"comment,omitempty"`
	}
	harTimings struct {
		Blocked float64 `json:"blocked"`
		DNS     float64 `json:"dns"`
		Connect float64 `json:"connect"`
		Send    float64 `json:"send"`
		Wait    float64 `json:"wait"`
		Receive float64 `json:"receive"`
		SSL     float64 `json:"ssl"`
	}
	harMessage struct {
		Type    string  `json:"type"` // "send" is what the caller said
		Time    float64 `json:"time"` // s since 1970
		Opcode  int     `json:"opcode"`
		Data    string  `json:"data"` // of a binary message base64
		Comment string  `json:"comment,omitempty"`
	}
	harEvent struct {
		Time float64 `json:"time"`
		Name string  `json:"eventName"`
		ID   string  `json:"eventId"`
		Data string  `json:"data"`
	}
)
