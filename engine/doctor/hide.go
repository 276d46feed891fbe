package doctor

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

const (
	hidden    = "CREDENTIAL"
	leastHide = 6 // bytes of a credential, and of the beginning of one, that are looked for
)

// hide takes the credential out of what others have sent: an echo service, or the
// page of a debugging proxy, says what it was sent. It is looked for as it is and
// as URLs and JSON write it, and its beginning at the end, where a text was cut.
func (w *way) hide(text string) string {
	secret := w.c.o.Secret
	if len(secret) < leastHide || len(text) < leastHide {
		return text
	}
	quoted, _ := json.Marshal(secret) // of a string there is no error
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`)} {
		text = strings.ReplaceAll(text, form, hidden)
		for n := min(len(form)-1, len(text)); n >= leastHide; n-- {
			if strings.HasSuffix(text, form[:n]) {
				text = text[:len(text)-n] + hidden
				break
			}
		}
	}
	return text
}

// hideIn does that for the fields of an answer.
func (w *way) hideIn(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			clean[name] = append(clean[name], w.hide(v))
		}
	}
	return clean
}
