package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// TestCallerThatSpeaksAsProxy: only a trusted proxy is believed, and only as far as
// its word reaches.
func TestCallerThatSpeaksAsProxy(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for _, c := range []struct {
		name      string
		fields    string // a line each
		untrusted bool
		caller    string // in the record; "" the socket's
		want      map[string]string
	}{
		{name: "nothing said", want: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.t.example"}},
		{name: "one hop", fields: "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop.example\nX-Forwarded-Port: 443",
			caller: "203.0.113.9", want: map[string]string{"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Forwarded-Proto": "https",
				"X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "443", "Forwarded": `for=203.0.113.9, for=127.0.0.1;host="app.t.example";proto=http`}},
		{name: "not trusted", untrusted: true, fields: "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop.example\nX-Forwarded-Port: 443\nForwarded: for=203.0.113.9;proto=https",
			want: map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.t.example", "X-Forwarded-Port": "",
				"Forwarded": `for=127.0.0.1;host="app.t.example";proto=http`}},
		{name: "spoofed on the left", fields: "X-Forwarded-For: 127.0.0.1, 10.0.0.1, 198.51.100.7, 10.1.1.1", caller: "198.51.100.7",
			want: map[string]string{"X-Forwarded-For": "127.0.0.1, 10.0.0.1, 198.51.100.7, 10.1.1.1, 127.0.0.1"}},
		{name: "in two fields", fields: "X-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 198.51.100.7", caller: "198.51.100.7",
			want: map[string]string{"X-Forwarded-For": "192.0.2.1, 198.51.100.7, 127.0.0.1"}},
		{name: "trusted all the way", fields: "X-Forwarded-For: 10.0.0.1, 10.0.0.2", caller: "10.0.0.1"},
		{name: "garbage behind a proxy", fields: "X-Forwarded-For: <script>, 10.0.0.2", caller: "10.0.0.2"},
		{name: "garbage alone", fields: "X-Forwarded-For: <script>", want: map[string]string{"Forwarded": `for=unknown, for=127.0.0.1;host="app.t.example";proto=http`}},
		{name: "with port", fields: "X-Forwarded-For: 203.0.113.9:5555", caller: "203.0.113.9:5555"},
		{name: "ipv6", fields: "X-Forwarded-For: 2001:db8::9, 2001:db8:1::1", caller: "2001:db8::9",
			want: map[string]string{"Forwarded": `for="[2001:db8::9]", for="[2001:db8:1::1]", for=127.0.0.1;host="app.t.example";proto=http`}},
		{name: "ipv6 with port", fields: "X-Forwarded-For: [2001:db8::9]:5555", caller: "[2001:db8::9]:5555"},
		{name: "mapped", fields: "X-Forwarded-For: 198.51.100.7, ::ffff:10.0.0.1", caller: "198.51.100.7"},
		{name: "octal", fields: "X-Forwarded-For: 0313.0.0161.9, 10.0.0.1", caller: "10.0.0.1"},
		{name: "empty elements", fields: "X-Forwarded-For: , 203.0.113.9,,", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-For": "203.0.113.9, 127.0.0.1"}},
		{name: "only Forwarded", fields: `Forwarded: for=192.0.2.1;proto=http, For="[2001:db8::9]:80";host="shop.example";Proto=https, for=10.0.0.1;by=_x`, caller: "[2001:db8::9]:80",
			want: map[string]string{"X-Forwarded-For": "192.0.2.1, 2001:db8::9, 10.0.0.1, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}},
		{name: "both agree", fields: "X-Forwarded-For: 203.0.113.9\nForwarded: for=203.0.113.9;proto=https;by=_edge", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-Proto": "https", "Forwarded": `for=203.0.113.9;proto=https;by=_edge, for=127.0.0.1;host="app.t.example";proto=http`}},
		{name: "Forwarded made up", fields: "X-Forwarded-For: 203.0.113.9\nForwarded: for=127.0.0.1;proto=https;host=admin.example", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.t.example", "Forwarded": `for=203.0.113.9, for=127.0.0.1;host="app.t.example";proto=http`}},
		{name: "Forwarded longer than the other", fields: "X-Forwarded-For: 203.0.113.9\nForwarded: for=203.0.113.9;proto=https;host=admin.example, for=203.0.113.9;proto=http;host=shop.example", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Host": "shop.example"}},
		{name: "Forwarded shorter than the other", fields: "X-Forwarded-For: 192.0.2.1, 203.0.113.9\nForwarded: for=203.0.113.9;proto=https;host=shop.example", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}},
		{name: "Forwarded made up behind a proxy", fields: "X-Forwarded-For: 203.0.113.9, 10.0.0.2\nForwarded: for=127.0.0.1;proto=https;host=admin.example, for=10.0.0.2", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-Proto": "http", "X-Forwarded-Host": "app.t.example"}},
		{name: "Forwarded malformed", fields: `Forwarded: for="203.0.113.9`, want: map[string]string{"X-Forwarded-For": "127.0.0.1"}},
		{name: "hidden", fields: "Forwarded: for=_hidden;proto=https, for=10.0.0.1", caller: "10.0.0.1"},
		{name: "wrong scheme", fields: "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: javascript", caller: "203.0.113.9", want: map[string]string{"X-Forwarded-Proto": "http"}},
		{name: "two schemes", fields: "X-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: http, https", caller: "203.0.113.9", want: map[string]string{"X-Forwarded-Proto": "https"}},
		{name: "wrong host", fields: "X-Forwarded-Host: a b", want: map[string]string{"X-Forwarded-Host": "app.t.example"}},
		{name: "removed as a field of the hop", fields: "X-Forwarded-For: 203.0.113.9\nConnection: close, X-Forwarded-For, Forwarded", caller: "203.0.113.9",
			want: map[string]string{"X-Forwarded-For": "203.0.113.9, 127.0.0.1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen []wire.Field
			b := exposed(t, func(in tunnel.Incoming) {
				seen = append(seen, in.Request().Fields...)
				hello(in)
			}, func(o *Options) {
				if !c.untrusted {
					o.TrustedProxies = trusted
				} else {
					o.TrustedProxies = trusted[1:]
				}
			})
			send := "GET /x HTTP/1.1\r\nHost: app.t.example\r\n"
			if c.fields != "" {
				send += strings.ReplaceAll(c.fields, "\n", "\r\n") + "\r\n"
			}
			call := b.raw(send + "\r\n")
			if resp, _ := call.response(t, "GET"); resp.StatusCode != 200 {
				t.Fatal(resp.Status)
			}
			rec := b.finished(1)
			if want := c.caller; want == "" && rec.Caller != call.LocalAddr().String() || want != "" && rec.Caller != want {
				t.Errorf("caller %s", rec.Caller)
			}
			scheme := "http"
			for name, want := range c.want {
				var got []string
				for _, f := range seen {
					if strings.EqualFold(f.Name, name) {
						got = append(got, f.Value)
					}
				}
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != want) {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
				if name == "X-Forwarded-Proto" {
					scheme = want
				}
			}
			if rec.Target != scheme+"://app.t.example/x" && c.want["X-Forwarded-Proto"] != "" {
				t.Errorf("recorded target: %s", rec.Target)
			}
		})
	}
}

// TestRefusalNamesTheCaller: also what is refused is told under the caller's
// address, and no field of a stranger chooses a name (P7).
func TestRefusalNamesTheCaller(t *testing.T) {
	b := serve(t, Options{Domain: domain, Live: Live{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}})
	resp, _ := do(t, caller(t), "GET", b.url("/register"), "", "X-Forwarded-For", "203.0.113.9", "Origin", "https://evil.example")
	if resp.StatusCode != http.StatusForbidden {
		t.Error(resp.Status)
	}
	if e := b.await(engine.KindAdmissionRefused, 1); e.Peer != "203.0.113.9" {
		t.Errorf("%+v", e)
	}
	resp, _ = do(t, caller(t), "GET", b.url("/"), "", "X-Forwarded-Host", appHost, "X-Forwarded-Proto", "https")
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("a forwarding field chose where to go: %s", resp.Status)
	}
}

func FuzzForwarded(f *testing.F) {
	for _, v := range []string{"for=192.0.2.1", `for="[2001:db8::9]:80";proto=https;host="a\"b"`, "for=_x, for=unknown", `for="`, ",;=", "a=b;;,c=d"} {
		f.Add(v, "203.0.113.9, 10.0.0.1")
	}
	s, err := New(Options{Live: Live{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, forwarded, chain string) {
		r := httptest.NewRequest("GET", "http://app.t.example/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["Forwarded"], r.Header["X-Forwarded-For"] = []string{forwarded}, []string{chain}
		told := s.believe(r)
		if told == nil {
			t.Fatal("a trusted proxy is not believed")
		}
		if _, err := netip.ParseAddr(callerIP(r.RemoteAddr)); err != nil {
			t.Fatalf("the caller is %q", r.RemoteAddr)
		}
		if told.proto != "http" && told.proto != "https" || told.host != "" && !validAuthority(told.host) {
			t.Fatalf("%+v", told)
		}
	})
}
