package doctor

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"adit/engine/enginetest"
	"adit/engine/policy"
)

// Why a caller would not get through to a destination, each cause by its name.
func TestDestinations(t *testing.T) {
	t.Parallel()
	page := serves(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	unknown := acceptsOn(t, listensTLS(t, enginetest.NewAuthority(t).Server("127.0.0.1")), func(c net.Conn) { _ = c.(*tls.Conn).Handshake() })
	_, port, _ := net.SplitHostPort(page)
	set := policy.RuleSet{Allow: []string{"127.0.0.1", "*.test"}, Deny: []string{"127.0.0.1:1", "10.0.0.0/8"}}
	for name, k := range map[string]struct {
		to       string
		resolver lookups
		severity Severity
		words    []string
	}{
		"answers":      {"http://" + page, lookups{}, OK, []string{"answers 204"}},
		"tcp":          {page, lookups{}, OK, []string{"port " + port + " answers"}},
		"by name":      {"http://api.test:" + port + "/x?token=hush", lookups{all: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, OK, []string{"answers 204"}},
		"refused":      {"127.0.0.1:2", lookups{}, Failure, []string{"refused", "502", "nothing listens there"}},
		"denied":       {"127.0.0.1:1", lookups{}, Failure, []string{"deny 1 forbids it", "403", "adit rules test"}},
		"not allowed":  {"http://192.0.2.1/", lookups{}, Failure, []string{"do not let callers there", "--allow 192.0.2.1:80"}},
		"metadata":     {"http://169.254.169.254/latest", lookups{}, Failure, []string{"metadata"}},
		"its address":  {"http://inside.test/", lookups{all: []netip.Addr{netip.MustParseAddr("10.1.2.3")}}, Failure, []string{"10.1.2.3", "deny 2 forbids it"}},
		"unknown name": {"http://nobody.test/", lookups{err: &net.DNSError{IsNotFound: true}}, Failure, []string{"nobody.test is not known to DNS", "502"}},
		"hangs":        {"http://" + accepts(t, holds), lookups{}, Failure, []string{"does not answer within", "504"}},
		"certificate":  {"https://" + unknown, lookups{}, Failure, []string{"certificate does not hold"}},
		"no tls":       {"https://" + page, lookups{}, Failure, []string{"speaks no TLS", "http://"}},
		"no url":       {"ftp://x", lookups{}, Failure, []string{"no destination", "want --to"}},
		"password":     {"http://user:hush@x/", lookups{}, Failure, []string{"no destination"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t)
			o.To, o.Rules, o.Resolver, o.Secret = []string{k.to}, rules(t, set), k.resolver, "hush"
			o.pace.step = 400 * time.Millisecond
			diagnose(t, o).want(t, "destination", k.severity, k.words...)
		})
	}
}

// --allow names rules, of which only those that are one host and port can be
// reached. What --to names again is reached once.
func TestWhichDestinationsAreReached(t *testing.T) {
	o := ClientOptions{Allow: []string{"any", "10.0.0.0/8", "*.corp:443", "/x/", "db.internal:5432", "[fd00::1]:80", "10.0.0.1", "h:8000-8100"},
		To: []string{"tcp://a:1", "h2c://b", "db.internal:5432", "h2c://b"}, Expose: []Exposed{{Host: "app", Origin: "https://c"}, {TCP: 1, Origin: "d:2"}}}
	all, wrong := (&clientProbe{o: &o}).listDestinations()
	var got []string
	for _, d := range all {
		got = append(got, d.scheme+" "+net.JoinHostPort(d.host, d.port))
	}
	want := []string{"https c:443", " d:2", " db.internal:5432", " [fd00::1]:80", " a:1", "h2c b:80"}
	if len(got) != len(want) || len(wrong) != 0 {
		t.Fatalf("%q, %v", got, wrong)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}
