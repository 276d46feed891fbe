package config_test

import (
	"errors"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/policy"
)

func TestReachableListenerWantsCredentials(t *testing.T) {
	secret := write(t, "clients.secret", "hunter2\n")
	tests := []struct {
		name  string
		flags map[string][]string
		fix   []string // nil: starts
	}{
		{"loopback", map[string][]string{"listen": {"127.0.0.1:8080"}}, nil},
		{"loopback block", map[string][]string{"listen": {"127.9.9.9:0"}}, nil},
		{"IPv6 loopback", map[string][]string{"listen": {"[::1]:8080"}}, nil},
		{"localhost", map[string][]string{"listen": {"localhost:8080"}}, nil},
		{"every address", map[string][]string{"listen": {":8080"}}, []string{
			"adit server --listen :8080 --secret @FILE --caller-token @FILE",
			"adit server --listen :8080 --open-clients --open-callers",
		}},
		{"every IPv4 address", map[string][]string{"listen": {"0.0.0.0:8080"}}, []string{
			"adit server --listen 0.0.0.0:8080 --secret @FILE --caller-token @FILE",
			"adit server --listen 0.0.0.0:8080 --open-clients --open-callers",
		}},
		{"a name", map[string][]string{"listen": {"edge.example.com:8080"}, "headless": {"true"}}, []string{
			"adit server --listen edge.example.com:8080 --headless --secret @FILE --caller-token @FILE",
			"adit server --listen edge.example.com:8080 --headless --open-clients --open-callers",
		}},
		{"callers open", map[string][]string{"listen": {"[::]:8080"}, "open-callers": {"all"}, "name": {"a b"}}, []string{
			"adit server --listen '[::]:8080' --name 'a b' --open-callers --secret @FILE",
			"adit server --listen '[::]:8080' --name 'a b' --open-callers --open-clients",
		}},
		{"clients have a secret", map[string][]string{"listen": {"10.0.0.1:80"}, "secret": {"hunter2"}}, []string{
			"adit server --listen 10.0.0.1:80 --secret @FILE --caller-token @FILE",
			"adit server --listen 10.0.0.1:80 --secret @FILE --open-callers",
		}},
		{"exposed open", map[string][]string{"listen": {"10.0.0.1:80"}, "secret": {"hunter2"}, "open-callers": {"exposed"}}, nil},
		{"both have one", map[string][]string{"listen": {"10.0.0.1:80"}, "secret": {"hunter2"}, "caller-token": {"t"}}, nil},
		{"both open", map[string][]string{"listen": {"10.0.0.1:80"}, "open-clients": {"true"}, "open-callers": {"all"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := config.LoadServer("", nil, tt.flags)
			var refusal *config.RefusalError
			if !errors.As(err, &refusal) {
				if err != nil || tt.fix != nil {
					t.Fatalf("%v, want a refusal with %q", err, tt.fix)
				}
				return
			}
			if !reflect.DeepEqual(refusal.Fix, tt.fix) {
				t.Fatalf("fix %q\nwant %q", refusal.Fix, tt.fix)
			}
			for _, line := range refusal.Fix {
				if !strings.Contains(err.Error(), "\n  "+line) || strings.Contains(line, "hunter2") {
					t.Errorf("%q does not show %q", err, line)
				}
				if strings.Contains(line, "'") {
					continue
				}
				flags := parseLine(t, strings.ReplaceAll(line, "@FILE", "@"+secret), config.ServerSettings(new(config.Server)))
				if _, _, err := config.LoadServer("", nil, flags); err != nil {
					t.Errorf("%q does not fix it: %v", line, err)
				}
			}
		})
	}
}

// parseLine reads the flags of a printed command line as cobra would.
func parseLine(t *testing.T, line string, settings []config.Setting) map[string][]string {
	t.Helper()
	flags := map[string][]string{}
	words := strings.Fields(line)[2:]
	for i := 0; i < len(words); i++ {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(words[i], "--"), "=")
		found := false
		for _, s := range settings {
			if s.Name != name {
				continue
			}
			found = true
			if !hasValue && s.Bare != "" {
				value, hasValue = s.Bare, true
			}
		}
		if !found {
			t.Fatalf("%q has no flag %q", line, name)
		}
		if !hasValue {
			i++
			value = words[i]
		}
		flags[name] = append(flags[name], value)
	}
	return flags
}

func TestClientWithNothingToReachRefuses(t *testing.T) {
	const server = "ws://h:1/register"
	tests := []struct {
		name  string
		flags map[string][]string
		fix   []string
	}{
		{"nothing", map[string][]string{}, []string{
			"adit client --server ws://127.0.0.1:8080/register --expose app=http://localhost:3000",
			"adit client --server ws://127.0.0.1:8080/register --allow any",
		}},
		{"only a server", map[string][]string{"server": {server}, "headless": {"true"}}, []string{
			"adit client --server ws://h:1/register --headless --expose app=http://localhost:3000",
			"adit client --server ws://h:1/register --headless --allow any",
		}},
		{"no server", map[string][]string{"allow": {"*.corp"}}, []string{
			"adit client --allow '*.corp' --server ws://127.0.0.1:8080/register",
		}},
		{"allow", map[string][]string{"server": {server}, "allow": {"any"}}, nil},
		{"expose", map[string][]string{"server": {server}, "expose": {"app=http://localhost:3000"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := config.LoadClient("", nil, tt.flags)
			var refusal *config.RefusalError
			if !errors.As(err, &refusal) {
				if err != nil || tt.fix != nil {
					t.Fatalf("%v, want a refusal with %q", err, tt.fix)
				}
				return
			}
			if !reflect.DeepEqual(refusal.Fix, tt.fix) {
				t.Fatalf("fix %q\nwant %q", refusal.Fix, tt.fix)
			}
			for _, line := range refusal.Fix {
				flags := parseLine(t, strings.ReplaceAll(line, "'", ""), config.ClientSettings(new(config.Client)))
				if _, _, err := config.LoadClient("", nil, flags); err != nil {
					t.Errorf("%q does not fix it: %v", line, err)
				}
			}
		})
	}
	white := write(t, "adit.yaml", "client:\n  server: [ws://h:1/register]\n  whitelist: [{url: x}]\n")
	if _, _, err := config.LoadClient(white, nil, nil); err != nil {
		t.Errorf("a whitelist in the file: %v", err)
	}
	if _, _, err := config.LoadClient("testdata/client_second_fork.cfg", nil, nil); err != nil {
		t.Errorf("a file of wsp: %v", err)
	}
}

func TestContradictionsAreErrors(t *testing.T) {
	for _, tt := range []struct {
		role  string
		flags map[string][]string
		want  string
	}{
		{"server", map[string][]string{"open-callers": {"all"}, "caller-token": {"t"}}, "--open-callers=exposed"},
		{"server", map[string][]string{"open-clients": {"true"}, "secret": {"t"}}, "--open-clients and --secret contradict"},
		{"client", map[string][]string{"server": {"ws://h", "ws://h/register"}}, "given twice"},
		{"client", map[string][]string{"expose": {"app=http://a", "APP=http://b"}}, `"app" is exposed twice`},
		{"client", map[string][]string{"expose": {"tcp:1=a:1", "tcp:1=b:1"}}, "port 1 is exposed twice"},
		{"client", map[string][]string{"id": {"a.b"}, "expose": {"http://a"}}, "is no DNS label"},
		{"client", map[string][]string{"protocol": {"wsp"}, "expose": {"a=http://a"}}, "needs the native protocol"},
	} {
		for _, l := range loaders() {
			if l.role != tt.role {
				continue
			}
			if _, _, err := l.load("", nil, tt.flags); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: %v, want %q", tt.flags, err, tt.want)
			}
		}
	}
}

func TestPoliciesFollowTheSettings(t *testing.T) {
	h := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	ways := []engine.Way{engine.WayRequest, engine.WayConnect, engine.WayHost, engine.WayTCP}
	for _, tt := range []struct {
		name          string
		flags         map[string][]string
		without, with [4]bool // admitted by request, connect, host, tcp
	}{
		{"open on loopback", nil, [4]bool{true, true, true, true}, [4]bool{true, true, true, true}},
		{"token", map[string][]string{"caller-token": {"t"}}, [4]bool{}, [4]bool{true, true, true, false}},
		{"exposed with token", map[string][]string{"caller-token": {"t"}, "open-callers": {"exposed"}}, [4]bool{false, false, true, true}, [4]bool{true, true, true, true}},
		{"exposed alone", map[string][]string{"open-callers": {"exposed"}}, [4]bool{false, false, true, true}, [4]bool{false, false, true, true}},
		{"all", map[string][]string{"open-callers": {"all"}}, [4]bool{true, true, true, true}, [4]bool{true, true, true, true}},
	} {
		s, _, err := config.LoadServer("", nil, tt.flags)
		if err != nil {
			t.Fatal(err)
		}
		for i, way := range ways {
			if got := admits(t, s, http.Header{}, way); got != tt.without[i] {
				t.Errorf("%s: %v without a token: %v, want %v", tt.name, way, got, tt.without[i])
			}
			fields := h("t")
			if way == engine.WayTCP {
				fields = nil
			}
			if got := admits(t, s, fields, way); got != tt.with[i] {
				t.Errorf("%s: %v with the token: %v, want %v", tt.name, way, got, tt.with[i])
			}
		}
	}
	s, _, err := config.LoadServer("", nil, map[string][]string{"secret": {"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	clients, err := s.ClientPolicy()
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]bool{"a": true, "b": true, "c": false} {
		if _, err := clients.Admit(&policy.Presented{Header: h(token)}); (err == nil) != want {
			t.Errorf("client with %q: %v, want %v", token, err, want)
		}
	}
}

func TestClosedTCPPortsAreNoticed(t *testing.T) {
	_, notices, err := config.LoadServer("", nil, map[string][]string{"tcp-ports": {"1000"}, "caller-token": {"t"}})
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0], "--open-callers=exposed") {
		t.Errorf("%q, %v", notices, err)
	}
}

func TestIDsBecomeVisibleASCII(t *testing.T) {
	for given, want := range map[string]string{
		"edge-3":                 "edge-3",
		"edge 3":                 "edge-3",
		"  käse  brot ":          "k-se-brot",
		"\x1b[31mred":            "[31mred",
		strings.Repeat("x", 200): strings.Repeat("x", 128),
		"日本":                     "adit",
	} {
		c, notices, err := config.LoadClient("", nil, map[string][]string{"server": {"ws://h"}, "allow": {"any"}, "id": {given}})
		if err != nil || c.ID != want {
			t.Errorf("%q: id %q, %v; want %q", given, c.ID, err, want)
		}
		if (len(notices) == 1) != (given != want) {
			t.Errorf("%q: notices %q", given, notices)
		}
	}
}

func admits(t *testing.T, s *config.Server, h http.Header, way engine.Way) bool {
	t.Helper()
	callers, err := s.CallerPolicy()
	if err != nil {
		t.Fatal(err)
	}
	_, err = callers.Admit(&policy.Presented{Header: h}, way)
	return err == nil
}

// A listener that a service manager has opened counts where it is, not where the
// settings would have it.
func TestInheritedListenerWantsCredentials(t *testing.T) {
	in := config.Input{Flags: map[string][]string{"listen": {"127.0.0.1:8080"}}}
	s, _, err := config.LoadServerFrom(in)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4zero, Port: 80}: false, &net.TCPAddr{IP: net.IPv6zero, Port: 80}: false, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}: false,
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}: true, &net.TCPAddr{IP: net.IPv6loopback, Port: 80}: true, &net.UnixAddr{Name: "/run/adit/public.sock", Net: "unix"}: true,
	} {
		err := s.RefusalAt(addr, in)
		if (err == nil) != want {
			t.Errorf("%v: %v", addr, err)
		}
		if err != nil && !strings.Contains(err.Error(), "adit server --listen 127.0.0.1:8080 --secret @FILE --caller-token @FILE") {
			t.Errorf("%v: no line that fixes it: %v", addr, err)
		}
	}
	in.Flags["secret"], in.Flags["caller-token"] = []string{"s"}, []string{"t"}
	if s, _, err = config.LoadServerFrom(in); err != nil {
		t.Fatal(err)
	}
	if err := s.RefusalAt(&net.TCPAddr{IP: net.IPv4zero, Port: 80}, in); err != nil {
		t.Error(err)
	}
}
