package policy_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

func basic(user, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
}

func TestSecretsMatchOnlyTheirOwn(t *testing.T) {
	s := policy.NewSecrets("one", "", "two", "three")
	for v, want := range map[string]bool{"one": true, "two": true, "three": true, "": false, "on": false, "onee": false, "ONE": false} {
		if got := s.Match(v); got != want {
			t.Errorf("Match(%q) = %v, want %v", v, got, want)
		}
	}
	for name, empty := range map[string]*policy.Secrets{"nil": nil, "none": policy.NewSecrets(), "empty value": policy.NewSecrets("")} {
		if !empty.Empty() || empty.Match("") || empty.Match("one") {
			t.Errorf("%s: an empty set matches something", name)
		}
	}
	if s.Empty() {
		t.Error("a set of three is empty")
	}
}

func TestClientCredentials(t *testing.T) {
	const none, malformed, unauthorized = engine.ReasonNone, engine.ReasonMalformed, engine.ReasonUnauthorized
	tests := []struct {
		name string
		open bool
		h    http.Header
		want engine.Reason
	}{
		{"no credential", false, http.Header{}, unauthorized},
		{"secret key", false, http.Header{"X-Secret-Key": {"s3cret"}}, none},
		{"second secret", false, http.Header{"X-Secret-Key": {"other"}}, none},
		{"wrong secret key", false, http.Header{"X-Secret-Key": {"s3cre"}}, unauthorized},
		{"empty secret key", false, http.Header{"X-Secret-Key": {""}}, unauthorized},
		{"bearer", false, http.Header{"Authorization": {"Bearer s3cret"}}, none},
		{"bearer in any case", false, http.Header{"Authorization": {"bEARER s3cret"}}, none},
		{"bearer after spaces", false, http.Header{"Authorization": {"Bearer   s3cret"}}, none},
		{"wrong bearer", false, http.Header{"Authorization": {"Bearer nope"}}, unauthorized},
		{"bearer without token", false, http.Header{"Authorization": {"Bearer"}}, unauthorized},
		{"token without scheme", false, http.Header{"Authorization": {"s3cret"}}, unauthorized},
		{"basic is no client credential", false, http.Header{"Authorization": {basic("u", "s3cret")}}, unauthorized},
		{"key beside basic of a front", false, http.Header{"X-Secret-Key": {"s3cret"}, "Authorization": {basic("u", "p")}}, none},
		{"key and bearer alike", false, http.Header{"X-Secret-Key": {"s3cret"}, "Authorization": {"Bearer s3cret"}}, none},
		{"empty key beside bearer", false, http.Header{"X-Secret-Key": {""}, "Authorization": {"Bearer s3cret"}}, none},
		{"contradiction", false, http.Header{"X-Secret-Key": {"s3cret"}, "Authorization": {"Bearer nope"}}, malformed},
		{"contradiction of two valid ones", false, http.Header{"X-Secret-Key": {"s3cret"}, "Authorization": {"Bearer other"}}, malformed},
		{"key twice", false, http.Header{"X-Secret-Key": {"s3cret", "s3cret"}}, malformed},
		{"authorization twice", false, http.Header{"Authorization": {"Bearer s3cret", "Bearer s3cret"}}, malformed},
		{"list in one field", false, http.Header{"X-Secret-Key": {"s3cret, other"}}, unauthorized},
		{"caller's field does not count", false, http.Header{"Proxy-Authorization": {"Bearer s3cret"}}, unauthorized},
		{"open", true, http.Header{}, none},
		{"open with a key that nobody asked for", true, http.Header{"X-Secret-Key": {"x"}}, none},
		{"open but repeated", true, http.Header{"X-Secret-Key": {"x", "y"}}, malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &policy.Clients{Secrets: policy.NewSecrets("s3cret", "other")}
			if tt.open {
				c = &policy.Clients{}
			}
			got, err := c.Admit(&policy.Presented{Header: tt.h})
			name := got.Name
			if (name != "") != (err == nil && !tt.open) {
				t.Errorf("admitted by %q with %v", name, err)
			}
			if got := engine.ReasonOf(err); got != tt.want {
				t.Fatalf("reason %v (%v), want %v", got, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "nope")) {
				t.Fatalf("the error shows a credential: %v", err)
			}
		})
	}
}

func TestCredentialIsNamedByItsPlace(t *testing.T) {
	c := &policy.Clients{Secrets: policy.NewSecrets("one", "", "two", "one")}
	for key, want := range map[string]string{"one": "shared secret 3", "two": "shared secret 2"} {
		if id, err := c.Admit(&policy.Presented{Header: http.Header{"X-Secret-Key": {key}}}); id.Name != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", key, id.Name, err, want)
		}
	}
}

func TestTokenShownTwiceReachesNobody(t *testing.T) {
	h := http.Header{"Proxy-Authorization": {"Bearer t0ken"}, "Authorization": {"Bearer t0ken"}}
	if _, err := token.Admit(&policy.Presented{Header: h}, engine.WayProxy); err != nil || len(h) > 0 {
		t.Errorf("%v, left %v", err, h)
	}
}

func TestCallerCredentials(t *testing.T) {
	const (
		none         = engine.ReasonNone
		malformed    = engine.ReasonMalformed
		unauthorized = engine.ReasonUnauthorized
		proxyAuth    = engine.ReasonProxyAuth
	)
	tests := []struct {
		name    string
		c       policy.Callers
		h       http.Header
		way     engine.Way
		want    engine.Reason
		removed string // the one field that must be gone; all others stay
	}{
		{"request without", token, http.Header{}, engine.WayRequest, unauthorized, ""},
		{"host without", token, http.Header{}, engine.WayHost, unauthorized, ""},
		{"proxy without", token, http.Header{}, engine.WayProxy, proxyAuth, ""},
		{"connect without", token, http.Header{}, engine.WayConnect, proxyAuth, ""},
		{"tcp can't show one", token, nil, engine.WayTCP, unauthorized, ""},
		{"proxy bearer", token, http.Header{"Proxy-Authorization": {"Bearer t0ken"}}, engine.WayProxy, none, "Proxy-Authorization"},
		{"proxy basic", token, http.Header{"Proxy-Authorization": {basic("any", "t0ken")}}, engine.WayConnect, none, "Proxy-Authorization"},
		{"proxy basic, lower-case scheme", token, http.Header{"Proxy-Authorization": {strings.Replace(basic("any", "t0ken"), "Basic", "basic", 1)}}, engine.WayConnect, none, "Proxy-Authorization"},
		{"request by authorization", token, http.Header{"Authorization": {"Bearer t0ken"}}, engine.WayRequest, none, "Authorization"},
		{"host by authorization", token, http.Header{"Authorization": {basic("u", "t0ken")}}, engine.WayHost, none, "Authorization"},
		{"proxy by authorization", token, http.Header{"Authorization": {"Bearer t0ken"}}, engine.WayProxy, none, "Authorization"},
		{"both: the origin's stays", token, http.Header{"Proxy-Authorization": {"Bearer t0ken"}, "Authorization": {"Bearer origins"}}, engine.WayRequest, none, "Proxy-Authorization"},
		{"both on a host name", token, http.Header{"Proxy-Authorization": {"Bearer t0ken"}, "Authorization": {"Bearer origins"}}, engine.WayHost, none, "Proxy-Authorization"},
		{"wrong in front of right", token, http.Header{"Proxy-Authorization": {"Bearer nope"}, "Authorization": {"Bearer t0ken"}}, engine.WayRequest, unauthorized, ""},
		{"wrong in front of right, proxy", token, http.Header{"Proxy-Authorization": {"Bearer nope"}, "Authorization": {"Bearer t0ken"}}, engine.WayProxy, proxyAuth, ""},
		{"wrong password", token, http.Header{"Authorization": {basic("t0ken", "nope")}}, engine.WayRequest, unauthorized, ""},
		{"password with colons is one", policy.Callers{Secrets: policy.NewSecrets("a:b")}, http.Header{"Authorization": {basic("u", "a:b")}}, engine.WayRequest, none, "Authorization"},
		{"basic without colon", token, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("t0ken"))}}, engine.WayRequest, unauthorized, ""},
		{"basic that is no base64", token, http.Header{"Authorization": {"Basic !!!"}}, engine.WayRequest, unauthorized, ""},
		{"unknown scheme", token, http.Header{"Authorization": {"Digest t0ken"}}, engine.WayRequest, unauthorized, ""},
		{"empty field", token, http.Header{"Authorization": {""}}, engine.WayRequest, unauthorized, ""},
		{"proxy field twice", token, http.Header{"Proxy-Authorization": {"Bearer t0ken", "Bearer t0ken"}}, engine.WayProxy, malformed, ""},
		{"authorization twice", token, http.Header{"Authorization": {"Bearer t0ken", "Bearer x"}}, engine.WayHost, malformed, ""},
		{"client's field does not count", token, http.Header{"X-Secret-Key": {"t0ken"}}, engine.WayRequest, unauthorized, ""},

		{"open", policy.Callers{}, http.Header{"Authorization": {"Bearer origins"}}, engine.WayRequest, none, ""},
		{"open, origin's own twice", policy.Callers{}, http.Header{"Authorization": {"a", "b"}}, engine.WayHost, none, ""},
		{"open tcp", policy.Callers{}, nil, engine.WayTCP, none, ""},

		{"exposed open: host", exposed, http.Header{"Authorization": {"Bearer origins"}}, engine.WayHost, none, ""},
		{"exposed open: ours is not the origin's", exposed, http.Header{"Authorization": {basic("u", "t0ken")}}, engine.WayHost, none, "Authorization"},
		{"exposed open: ours among others", exposed, http.Header{"Authorization": {"Bearer origins", "Bearer t0ken"}}, engine.WayHost, none, "Authorization"},
		{"exposed open: tcp", exposed, nil, engine.WayTCP, none, ""},
		{"exposed open: request wants one", exposed, http.Header{}, engine.WayRequest, unauthorized, ""},
		{"exposed open: connect wants one", exposed, http.Header{}, engine.WayConnect, proxyAuth, ""},
		{"exposed open: request with one", exposed, http.Header{"Authorization": {"Bearer t0ken"}}, engine.WayRequest, none, "Authorization"},

		{"closed: host", closed, http.Header{}, engine.WayHost, none, ""},
		{"closed: tcp", closed, nil, engine.WayTCP, none, ""},
		{"closed: request", closed, http.Header{}, engine.WayRequest, unauthorized, ""},
		{"closed: proxy", closed, http.Header{}, engine.WayProxy, proxyAuth, ""},
		{"closed: connect with anything", closed, http.Header{"Proxy-Authorization": {"Bearer "}}, engine.WayConnect, proxyAuth, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := tt.h.Clone()
			_, err := tt.c.Admit(&policy.Presented{Header: tt.h}, tt.way)
			if got := engine.ReasonOf(err); got != tt.want {
				t.Fatalf("reason %v (%v), want %v", got, err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), "nope")) {
				t.Fatalf("the error shows a credential: %v", err)
			}
			for name := range before {
				if _, kept := tt.h[name]; kept == (name == tt.removed) {
					t.Errorf("%s: kept %v, to be removed %q", name, kept, tt.removed)
				}
			}
		})
	}
}

// The three kinds of server: with a token, with exposed services open beside it,
// and with those open and the rest closed.
var (
	token   = policy.Callers{Secrets: policy.NewSecrets("t0ken")}
	exposed = policy.Callers{Secrets: policy.NewSecrets("t0ken"), OpenExposed: true, ClosedChosen: true}
	closed  = policy.Callers{OpenExposed: true, ClosedChosen: true}
)
