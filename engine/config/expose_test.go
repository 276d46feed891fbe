package config_test

import (
	"strings"
	"testing"

	"adit/engine/config"
)

func TestParseExpose(t *testing.T) {
	tests := []struct {
		in, id string
		host   string
		tcp    uint16
		origin string
	}{
		{"app=http://localhost:3000", "pi", "app", 0, "http://localhost:3000"},
		{"APP=http://LocalHost:3000/", "pi", "app", 0, "http://localhost:3000"},
		{"http://localhost:3000", "Pi-3", "pi-3", 0, "http://localhost:3000"},
		{"a=https://api.internal", "pi", "a", 0, "https://api.internal"},
		{"a=HTTPS://api.internal", "pi", "a", 0, "https://api.internal"},
		{"a=h2c://10.0.0.5:50051", "pi", "a", 0, "h2c://10.0.0.5:50051"},
		{"a=http://[fd00::1]:80", "pi", "a", 0, "http://[fd00::1]:80"},
		{"a=http://my_service:80", "pi", "a", 0, "http://my_service:80"},
		{"tcp=http://localhost:1", "pi", "tcp", 0, "http://localhost:1"},
		{"tcp:5432=10.0.0.5:5432", "pi", "", 5432, "10.0.0.5:5432"},
		{"tcp:1=db.internal:65535", "pi", "", 1, "db.internal:65535"},
		{"tcp:22=[fd00::1]:22", "pi", "", 22, "[fd00::1]:22"},
	}
	for _, tt := range tests {
		host, tcp, origin, err := config.ParseExpose(tt.in, tt.id)
		if err != nil || host != tt.host || tcp != tt.tcp || origin != tt.origin {
			t.Errorf("%s: %q, %d, %q, %v; want %q, %d, %q", tt.in, host, tcp, origin, err, tt.host, tt.tcp, tt.origin)
		}
	}
}

func TestParseExposeErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "no scheme",
		"3000":                                 "no scheme",
		"localhost:3000":                       "no scheme",
		"app=localhost:3000":                   "no scheme",
		"=http://localhost":                    "name before = is empty",
		"a.b=http://localhost":                 "is no DNS label",
		"-a=http://localhost":                  "is no DNS label",
		"a_b=http://localhost":                 "is no DNS label",
		strings.Repeat("a", 64) + "=http://lo": "is no DNS label",
		"app=ftp://localhost":                  "scheme ftp can't be exposed",
		"app=ws://localhost":                   "scheme ws can't be exposed",
		"app=http://":                          "without a host",
		"app=http://:3000":                     "without a host",
		"app=http://localhost:":                "a colon without a port",
		"app=http://localhost:0":               "is no port",
		"app=http://localhost:99999":           "is no port",
		"app=http://localhost:x":               "no URL",
		"app=http://localhost/api":             "without a path",
		"app=http://localhost/?a":              "without a path",
		"app=http://localhost?":                "without a path",
		"app=http://localhost/#a":              "fragment",
		"app=http://u:hunter2@localhost":       "user information",
		"app=u:hunter2@localhost:3000":         "no scheme",
		"app=http://a b":                       "no URL",
		"app=http://a\x00b":                    "no URL",
		"app=http://[fe80::1%25eth0]:80":       "is no host name or address",
		"http://localhost":                     "the id \"a.b\" is no DNS label",
		"tcp:":                                 "want tcp:PORT=HOST:PORT",
		"tcp:5432":                             "want tcp:PORT=HOST:PORT",
		"tcp:=a:1":                             "port at the server",
		"tcp:0=a:1":                            "port at the server",
		"tcp:65536=a:1":                        "port at the server",
		"tcp:5432=5432":                        "is no HOST:PORT",
		"tcp:5432=:5432":                       "is no HOST:PORT",
		"tcp:5432=a:":                          "port of the service",
		"tcp:5432=a b:1":                       "is no host name",
		"tcp:5432=http://a:1":                  "is no HOST:PORT",
		"tcp:5432=fd00::1:22":                  "in brackets",
	} {
		_, _, _, err := config.ParseExpose(in, "a.b")
		if err == nil {
			t.Errorf("%q is taken", in)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %q does not say %q", in, err, want)
		}
	}
}

func TestTCPRange(t *testing.T) {
	for in, want := range map[string][2]uint16{"": {}, "20000-20100": {20000, 20100}, "22": {22, 22}, "1-65535": {1, 65535}} {
		s := config.Server{TCPPorts: in}
		if first, last, err := s.TCPRange(); err != nil || first != want[0] || last != want[1] {
			t.Errorf("%q: %d to %d, %v; want %v", in, first, last, err, want)
		}
	}
	for _, in := range []string{"-", "1-", "-1", "2-1", "0", "65536", "1-2-3", " 1"} {
		s := config.Server{TCPPorts: in}
		if _, _, err := s.TCPRange(); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

func TestServerURLs(t *testing.T) {
	for in, want := range map[string]string{
		"ws://h:8080/register":       "ws://h:8080/register",
		"wss://h":                    "wss://h/register",
		"WSS://h/":                   "wss://h/register",
		"wss://front.example/wsp/up": "wss://front.example/wsp/up",
		"ws://[::1]:8080/register?x": "ws://[::1]:8080/register?x",
	} {
		c, _, err := config.LoadClient("", nil, map[string][]string{"server": {in}, "allow": {"any"}})
		if err != nil || len(c.Server) != 1 || c.Server[0] != want {
			t.Errorf("%s: %+v, %v; want %s", in, c, err, want)
		}
	}
}
