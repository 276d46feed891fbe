package client

import (
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/observe"
)

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.ID == "" {
		o.ID = "edge-3"
	}
	if o.Servers == nil {
		o.Servers = []string{"ws://server.example/register"}
	}
	o.Bus = observe.NewBus()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	const server = "ws://server.example/register"
	for name, o := range map[string]Options{
		"no id":               {Servers: []string{server}},
		"id with a space":     {ID: "a b", Servers: []string{server}},
		"id too long":         {ID: strings.Repeat("a", 129), Servers: []string{server}},
		"no server":           {ID: "a"},
		"http":                {ID: "a", Servers: []string{"http://server.example/register"}},
		"no host":             {ID: "a", Servers: []string{"ws:///register"}},
		"not a url":           {ID: "a", Servers: []string{"ws://hush@%zz/"}},
		"user information":    {ID: "a", Servers: []string{"ws://user:hush@server.example/register"}},
		"twice":               {ID: "a", Servers: []string{server, server}},
		"secret with newline": {ID: "a", Servers: []string{server}, Live: Live{Secret: "hush\r\nX: y"}},
		"expose nothing":      {ID: "a", Servers: []string{server}, Expose: []Expose{{Origin: "http://localhost"}}},
		"expose both":         {ID: "a", Servers: []string{server}, Expose: []Expose{{Host: "a", TCP: 1, Origin: "http://localhost"}}},
		"expose a path":       {ID: "a", Servers: []string{server}, Expose: []Expose{{Host: "a", Origin: "http://localhost/x"}}},
		"expose ftp":          {ID: "a", Servers: []string{server}, Expose: []Expose{{Host: "a", Origin: "ftp://localhost"}}},
		"expose twice":        {ID: "a", Servers: []string{server}, Expose: []Expose{{Host: "a", Origin: "http://x"}, {Host: "A", Origin: "http://y"}}},
		"expose no port":      {ID: "a", Servers: []string{server}, Expose: []Expose{{TCP: 5432, Origin: "localhost"}}},
	} {
		o.Bus = observe.NewBus()
		c, err := New(o)
		if err == nil {
			c.Close()
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error tells a credential: %v", name, err)
		}
	}
	if _, err := New(Options{ID: "a", Servers: []string{server}}); err == nil {
		t.Error("accepted without a bus")
	}
}

func TestServerURLsAreShownWithoutTheirQuery(t *testing.T) {
	c := newClient(t, Options{Servers: []string{"wss://server.example?token=hush"}})
	e := c.endpoints[0]
	if e.url != "wss://server.example/register?token=hush" {
		t.Errorf("dials %q", e.url)
	}
	if e.text != "wss://server.example/register" || e.address != "server.example:443" {
		t.Errorf("shows %q, %q", e.text, e.address)
	}
}

func TestDefaultPorts(t *testing.T) {
	for _, tt := range [][3]string{
		{"http", "a.example", "a.example:80"},
		{"https", "a.example", "a.example:443"},
		{"h2c", "a.example", "a.example:80"},
		{"http", "a.example:8080", "a.example:8080"},
		{"https", "a.example:", "a.example:443"},
		{"http", "[::1]", "[::1]:80"},
		{"http", "[::1]:81", "[::1]:81"},
	} {
		if got := hostPort(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s://%s leads to %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestBansAreTheServers(t *testing.T) {
	c := newClient(t, Options{})
	for _, err := range []error{c.Ban(t.Context(), "x", engine.Operator{}), c.Unban(t.Context(), "x", engine.Operator{})} {
		if err == nil || !strings.Contains(err.Error(), "server") {
			t.Errorf("ban at a client: %v", err)
		}
	}
}
