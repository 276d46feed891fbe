package config

import (
	"errors"
	"strings"
	"testing"
)

// FuzzConfig reads any file as both roles do. What is taken must be usable, and
// no error may show a credential.
func FuzzConfig(f *testing.F) {
	for _, seed := range []string{
		"server:\n  listen: 127.0.0.1:1\n  secret: [hunter2]\n",
		"client:\n  server: [ws://h/register]\n  allow: [any]\n  secret: hunter2\n",
		"host: 127.0.0.1\nport: 80\ntimeout: 10\nsecretkey: hunter2\nwhitelist: [{method: a, url: b, headers: {c: d}}]\n",
		"targets: [ws://h/register]\nid: a\npoolidlesize: 1\n",
		"server: &a\n  secret: *hunter2\n", "server: {secret: [*a], x: &a [*a]}", "? {a: b}\n: c\n", "---\n---\n", "server:\n  secret: @hunter2\n",
		"server: {tcp-ports: 1-2, secret: 'hunter2\n\n2'}", "%YAML 1.1\n---\nserver: !!map {}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(err error) bool {
			if err == nil {
				return true
			}
			var refusal *RefusalError
			if !errors.As(err, &refusal) && strings.Contains(err.Error(), "hunter2") && !strings.Contains(keysOnly(data), "hunter2") {
				t.Fatalf("the error shows a credential: %v", err)
			}
			return false
		}
		d, err := parseDocument("f.yaml", data)
		if !check(err) {
			return
		}
		s, c := new(Server), new(Client)
		settings := withoutFiles(ServerSettings(s))
		if err := applyDefaults(settings); err != nil {
			t.Fatal(err)
		}
		if _, err := s.applyDocument(d, settings); check(err) {
			if _, err := s.settle(); err == nil {
				if _, err := s.Rules(); err != nil {
					t.Fatalf("taken, but no rules: %v", err)
				}
				if _, _, err := s.TCPRange(); err != nil {
					t.Fatalf("taken, but no ports: %v", err)
				}
			}
		}
		settings = withoutFiles(ClientSettings(c))
		if err := applyDefaults(settings); err != nil {
			t.Fatal(err)
		}
		if _, err := c.applyDocument(d, settings); check(err) {
			if _, err := c.settle(); err == nil {
				if _, err := c.Rules(); err != nil {
					t.Fatalf("taken, but no rules: %v", err)
				}
			}
		}
	})
}

// withoutFiles keeps @FILE from reading whatever file the input names.
func withoutFiles(settings []Setting) []Setting {
	for i := range settings {
		if settings[i].Secret {
			settings[i].Set = func(values []string) error {
				for _, v := range values {
					if err := checkSecret(v, "it"); err != nil {
						return err
					}
				}
				return nil
			}
		}
	}
	return settings
}

// keysOnly returns data without the lines that set a credential: what stands
// elsewhere is none and may be shown.
func keysOnly(data []byte) string {
	var kept []string
	for _, line := range strings.Split(string(data), "\n") {
		for _, prefix := range []string{"  secret: ", "secretkey: "} {
			if strings.HasPrefix(line, prefix) && strings.Count(line, "secret") == 1 {
				line = ""
			}
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}
