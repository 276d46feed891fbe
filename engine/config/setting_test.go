package config_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"adit/engine/config"
)

// A loader loads one role's configuration; a refusal to start is no failure
// here.
type loader struct {
	role     string
	settings func() []config.Setting
	load     func(path string, env func(string) (string, bool), flags map[string][]string) (any, []string, error)
	values   map[string]example // for each setting
}

// An example is values of a setting unlike its default, and what must be set
// beside it: a companion of the same name is only what it is compared with.
type example struct {
	values []string
	beside map[string][]string
}

// flags returns the example as flags, without the setting itself where it comes
// from elsewhere.
func (e example) flags(name string, itself bool) map[string][]string {
	given := maps.Clone(e.beside)
	if given == nil {
		given = map[string][]string{}
	}
	delete(given, name)
	if itself {
		given[name] = e.values
	}
	return given
}

// valuesOf reads testdata/values.txt, which tests of other packages read as well.
func valuesOf(role string) map[string]example {
	data, err := os.ReadFile("testdata/values.txt")
	if err != nil {
		panic(err)
	}
	table := map[string]example{}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != role {
			continue
		}
		e := example{beside: map[string][]string{}}
		for i, w := range words[2:] {
			if w == "--" {
				for _, pair := range words[i+3:] {
					name, value, _ := strings.Cut(pair, "=")
					e.beside[name] = append(e.beside[name], value)
				}
				break
			}
			e.values = append(e.values, w)
		}
		table[words[1]] = e
	}
	return table
}

func started[T any](c *T, notices []string, err error) (any, []string, error) {
	var refusal *config.RefusalError
	if errors.As(err, &refusal) {
		err = nil
	}
	if c == nil {
		return nil, notices, err
	}
	return *c, notices, err
}

func loaders() []loader {
	return []loader{
		{
			role:     "server",
			settings: func() []config.Setting { return config.ServerSettings(new(config.Server)) },
			load: func(path string, env func(string) (string, bool), flags map[string][]string) (any, []string, error) {
				return started(config.LoadServer(path, env, flags))
			},
			values: valuesOf("server"),
		},
		{
			role:     "client",
			settings: func() []config.Setting { return config.ClientSettings(new(config.Client)) },
			load: func(path string, env func(string) (string, bool), flags map[string][]string) (any, []string, error) {
				return started(config.LoadClient(path, env, flags))
			},
			values: valuesOf("client"),
		},
	}
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func environ(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// yamlFile writes one setting as a file has it.
func yamlFile(t testing.TB, role string, s config.Setting, values []string) string {
	text := fmt.Sprintf("%s:\n  %s: ", role, s.Name)
	if s.Repeatable {
		for _, v := range values {
			text += fmt.Sprintf("\n    - %q", v)
		}
	} else {
		text += fmt.Sprintf("%q", values[0])
	}
	return write(t, "adit.yaml", text+"\n")
}

func TestEverySettingTakesEffectFromEverySource(t *testing.T) {
	for _, l := range loaders() {
		settings := l.settings()
		if len(settings) != len(l.values) {
			t.Errorf("%s: %d settings, values for %d", l.role, len(settings), len(l.values))
		}
		for _, s := range settings {
			t.Run(l.role+"/"+s.Name, func(t *testing.T) {
				e := l.values[s.Name]
				if len(e.values) == 0 || s.Repeatable != (len(e.values) > 1) {
					t.Fatalf("values %q for a setting with repeatable %v", e.values, s.Repeatable)
				}
				if s.Help == "" || (s.Value == "") != (s.Default == "false") {
					t.Errorf("help %q, value %q, default %q", s.Help, s.Value, s.Default)
				}
				without, _, err := l.load("", nil, e.beside)
				if err != nil {
					t.Fatal(err)
				}
				fromFlag, _, err := l.load("", nil, e.flags(s.Name, true))
				if err != nil {
					t.Fatal(err)
				}
				if reflect.DeepEqual(fromFlag, without) {
					t.Fatalf("--%s %q changes nothing", s.Name, e.values)
				}
				fromEnv, _, err := l.load("", environ(s.Env(), strings.Join(e.values, ",")), e.flags(s.Name, false))
				if err != nil || !reflect.DeepEqual(fromEnv, fromFlag) {
					t.Errorf("%s is not --%s: %+v, %v", s.Env(), s.Name, fromEnv, err)
				}
				fromFile, _, err := l.load(yamlFile(t, l.role, s, e.values), nil, e.flags(s.Name, false))
				if err != nil || !reflect.DeepEqual(fromFile, fromFlag) {
					t.Errorf("the file is not --%s: %+v, %v", s.Name, fromFile, err)
				}
			})
		}
	}
}

// Each struct field that a person can set must have a setting.
func TestEveryFieldHasASetting(t *testing.T) {
	ofFiles := map[string]bool{"WSPFile": true, "IdleTimeout": true, "Whitelist": true, "Blacklist": true}
	for _, l := range loaders() {
		defaults, _, err := l.load("", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		covered := map[string]bool{}
		for name, e := range l.values {
			c, _, err := l.load("", nil, e.flags(name, true))
			if err != nil {
				t.Fatal(err)
			}
			got, was := reflect.ValueOf(c), reflect.ValueOf(defaults)
			for i := range got.NumField() {
				if !reflect.DeepEqual(got.Field(i).Interface(), was.Field(i).Interface()) {
					covered[got.Type().Field(i).Name] = true
				}
			}
		}
		typ := reflect.TypeOf(defaults)
		for i := range typ.NumField() {
			if name := typ.Field(i).Name; !covered[name] && !ofFiles[name] {
				t.Errorf("%s: no setting sets %s", l.role, name)
			}
		}
	}
}

func TestLaterSourceReplacesEarlier(t *testing.T) {
	path := write(t, "adit.yaml", "server:\n  timeout: 2s\n  secret: [file1, file2]\n  grace: 9s\n")
	env := environ("ADIT_TIMEOUT", "3s", "ADIT_SECRET", "env1, env2,", "ADIT_PING", "")
	flags := map[string][]string{"timeout": {"4s", "5s"}, "secret": {"flag"}}
	for _, tt := range []struct {
		name    string
		path    string
		env     func(string) (string, bool)
		flags   map[string][]string
		timeout time.Duration
		secret  []string
	}{
		{"defaults", "", nil, nil, time.Second, nil},
		{"file", path, nil, nil, 2 * time.Second, []string{"file1", "file2"}},
		{"environment", path, env, nil, 3 * time.Second, []string{"env1", "env2"}},
		{"flags, the last of two", path, env, flags, 5 * time.Second, []string{"flag"}},
		{"a list in a flag empties", path, env, map[string][]string{"secret": {}}, 3 * time.Second, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _, err := config.LoadServer(tt.path, tt.env, tt.flags)
			if err != nil {
				t.Fatal(err)
			}
			if s.Timeout != tt.timeout || !reflect.DeepEqual(s.Secret, tt.secret) {
				t.Errorf("timeout %v, secret %q; want %v, %q", s.Timeout, s.Secret, tt.timeout, tt.secret)
			}
			if s.Ping != 20*time.Second {
				t.Errorf("an empty variable set ping to %v", s.Ping)
			}
		})
	}
}

func TestDefaultsAreThoseOfTheIssue(t *testing.T) {
	s, notices, err := config.LoadServer("", nil, nil)
	if err != nil || len(notices) != 0 {
		t.Fatal(notices, err)
	}
	host, _ := os.Hostname()
	want := &config.Server{
		Listen: "127.0.0.1:8080", Name: host, Timeout: time.Second, Ping: 20 * time.Second, Grace: 30 * time.Second,
		Protocol: "auto", LogLevel: "info", Events: "requests",
		Dashboard: config.Dashboard{FPS: 30, Color: "auto", Theme: "auto", Glyphs: "auto", Keys: "vim+arrows"},
		Store:     config.Store{Path: config.OwnPlace, Age: 720 * time.Hour, Rows: 10_000_000, Bytes: 4 << 30},
		Capture:   config.Capture{Mode: "heads", Memory: 64 << 20},
		TLS:       config.TLS{Min: "1.2"},
		Limits: config.Limits{
			HeaderBytes: 64 << 10, HeaderFields: 256, HeaderTimeout: 10 * time.Second, KeepAlive: 2 * time.Minute, Stall: time.Minute,
			ConnectionsPerAddress: 4096, ConnectionsPerClient: 1000, HandshakeRate: 100, FailureRate: 5,
			ExchangesPerClient: 10_000, Waiting: 1000,
		},
		Observing: config.Observing{OTLPSample: 1},
		LogFormat: "json",
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("server %+v\nwant   %+v", s, want)
	}
	c, _, err := config.LoadClient("", nil, map[string][]string{"server": {"ws://h/register"}, "allow": {"any"}})
	if err != nil {
		t.Fatal(err)
	}
	wantClient := &config.Client{
		Server: []string{"ws://h/register"}, ID: host, Pool: 2, PoolIdle: 10, PoolMax: 100, Allow: []string{"any"},
		HostHeader: "keep", Ping: 30 * time.Second, Grace: 30 * time.Second, Protocol: "auto", LogLevel: "info", Events: "requests",
		Dashboard: config.Dashboard{FPS: 30, Color: "auto", Theme: "auto", Glyphs: "auto", Keys: "vim+arrows"},
		Store:     config.Store{Age: 720 * time.Hour, Rows: 10_000_000, Bytes: 4 << 30},
		Capture:   config.Capture{Mode: "heads", Memory: 64 << 20},
		Observing: config.Observing{OTLPSample: 1},
		LogFormat: "json",
	}
	if !reflect.DeepEqual(c, wantClient) {
		t.Errorf("client %+v\nwant   %+v", c, wantClient)
	}
}

func TestBadValuesNameTheirSource(t *testing.T) {
	tests := []struct {
		role, name, value, want string
	}{
		{"server", "listen", "8080", "want HOST:PORT"},
		{"server", "listen", "127.0.0.1:http", "is no port"},
		{"server", "listen", "127.0.0.1:70000", "is no port"},
		{"server", "listen", "::1:80", "want HOST:PORT"},
		{"server", "listen", "a b:80", "want HOST:PORT"},
		{"server", "name", "", "is empty"},
		{"server", "domain", "https://example.com", "is no domain"},
		{"server", "domain", "10.0.0.1", "is no domain"},
		{"server", "domain", "example.com:80", "is no domain"},
		{"server", "tcp-ports", "20100-20000", "the smaller port comes first"},
		{"server", "tcp-ports", "0-10", "is no port"},
		{"server", "tcp-ports", "20000-", "is no port"},
		{"server", "tcp-ports", "1-2-3", "is no port"},
		{"server", "open-callers", "some", "want all or exposed"},
		{"server", "open-clients", "maybe", "want true or false"},
		{"server", "timeout", "1000", "want a number with a unit"},
		{"server", "timeout", "0s", "is out of range"},
		{"server", "timeout", "-1s", "is out of range"},
		{"server", "ping", "10ms", "want 1s to 2m0s"},
		{"server", "for", "-1s", "want 0s or more"},
		{"server", "protocol", "h2", "want auto, adit or wsp"},
		{"server", "log-level", "trace", "want debug, info, warn or error"},
		{"server", "events", "some", "want all, requests, lifecycle or none"},
		{"client", "server", "http://h/register", "want ws://"},
		{"client", "server", "ws://user:hunter2@h/register", "credentials have settings of their own"},
		{"client", "server", "ws://", "without a host"},
		{"client", "server", "h:8080", "no scheme; want a URL such as ws://127.0.0.1:8080/register"},
		{"server", "acme", "localhost", "no public host name; want one such as"},
		{"server", "acme-directory", "acme.example.com", "no scheme; want a URL such as https://"},
		{"server", "otlp", "localhost:4318", "no scheme; want a URL such as http://127.0.0.1:4318"},
		{"client", "server", "ws://h:0/", "is no port"},
		{"client", "server", "ws://h/#x", "fragment"},
		{"client", "pool", "0", "want a number from 1"},
		{"client", "pool", "two", "want a number from 1"},
		{"client", "host-header", "drop", "want keep or rewrite"},
		{"client", "allow", "10.0.0.0/33", `allow rule "10.0.0.0/33"`},
		{"client", "expose", "localhost:3000", "no scheme"},
		{"client", "secret", "@", "want @FILE"},
	}
	for _, tt := range tests {
		for _, l := range loaders() {
			if l.role != tt.role {
				continue
			}
			for _, s := range l.settings() {
				if s.Name != tt.name {
					continue
				}
				check := func(source, prefix string, err error) {
					if err == nil {
						t.Errorf("%s: %s %q is taken", source, tt.name, tt.value)
						return
					}
					text := err.Error()
					if !strings.HasPrefix(text, prefix) || !strings.Contains(text, tt.want) || strings.Contains(text, "hunter2") {
						t.Errorf("%s: %q does not say %q after %q", source, text, tt.want, prefix)
					}
				}
				_, _, err := l.load("", nil, map[string][]string{tt.name: {tt.value}})
				check("flag", "--"+tt.name+": ", err)
				if tt.value != "" {
					_, _, err = l.load("", environ(s.Env(), tt.value), nil)
					check("environment", s.Env()+": ", err)
				}
				path := yamlFile(t, tt.role, s, []string{tt.value})
				line := 2
				if s.Repeatable {
					line = 3
				}
				_, _, err = l.load(path, nil, nil)
				check("file", fmt.Sprintf("%s:%d: %s: ", path, line, tt.name), err)
			}
		}
	}
}

func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A password in a URL that is refused for it must not stand in the refusal: that goes
// to stderr, to the log, and after a reload to whoever watches.
func TestRefusedURLsShowNoPassword(t *testing.T) {
	const mark = "hunter2hunter2"
	settings := append(config.ServerSettings(new(config.Server)), config.ClientSettings(new(config.Client))...)
	seen := 0
	for _, s := range settings {
		if !strings.Contains(s.Value, "URL") {
			continue
		}
		seen++
		for _, form := range []string{"http://u:%s@h.example:4318/", "https://u:%s@h.example/", "ws://%s@h.example/", "ftp://u:%s@h.example", "http://u:%s@h.example:port",
			"https://u:%s@h .example/", "u:%s@h.example", "http://u:%s@"} {
			err := s.Set([]string{fmt.Sprintf(form, mark)})
			if err != nil && strings.Contains(err.Error(), mark) {
				t.Errorf("--%s: %v", s.Name, err)
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d settings take a URL", seen)
	}
}
