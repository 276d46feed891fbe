package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// mostConnections bounds a classic pool, as the greeting does (protocol.md §1);
// mostNative bounds the connections of a native client to one server.
const (
	mostConnections = 100_000
	mostNative      = 1_000
)

// ClientSettings defines the settings of adit client; each sets its field of c.
func ClientSettings(c *Client) []Setting {
	server := listSetting(&c.Server, "server", "URL", "server to dial: ws://HOST:PORT/register or wss://…", checkServerURL)
	server.Get = func() string { return withoutQueries(c.Server) }
	server.exact = func() string { return strings.Join(c.Server, "\x00") }
	return slices.Concat([]Setting{
		server,
		textSetting(&c.ID, "id", "ID", "", "id of this client (default: the host name)", notEmpty),
		live(secretSetting(&c.Secret, "secret", "credential for the servers")),
		numberSetting(&c.Pool, "pool", "2", "native connections to each server", 1, mostNative),
		numberSetting(&c.PoolIdle, "pool-idle", "10", "idle connections to each wsp server", 0, mostConnections),
		numberSetting(&c.PoolMax, "pool-max", "100", "connections to each wsp server", 1, mostConnections),
		listSetting(&c.Expose, "expose", "[NAME=]URL|tcp:PORT=HOST:PORT", "expose a service below the server's domain, or on a port of it", checkExpose),
		live(listSetting(&c.Allow, "allow", "any|RULE", "destinations that callers may choose: HOST[:PORT[-PORT]], CIDR, *.suffix or /REGEXP/", checkAllow)),
		live(listSetting(&c.Deny, "deny", "RULE", "destinations that they may not, whatever is allowed", checkDeny)),
		choiceSetting(&c.HostHeader, "host-header", "keep", "Host at an exposed service: the public name, or the exposed URL's", "keep", "rewrite"),
		durationSetting(&c.Ping, "ping", "30s", "interval of pings to wsp servers", time.Second, time.Hour),
		graceSetting(&c.Grace),
		headlessSetting(&c.Headless),
		noWatchSetting(&c.NoWatch),
		switchSetting(&c.Once, "once", "end when a server refuses or is lost, instead of trying again"),
		protocolSetting(&c.Protocol),
		logLevelSetting(&c.LogLevel),
		logFormatSetting(&c.LogFormat),
		forSetting(&c.For),
		eventsSetting(&c.Events),
	}, grouped("Way out", EgressSettings(&c.Egress)), grouped("Control", ControlSettings(&c.Control)),
		grouped("Metrics and traces", ObservingSettings(&c.Observing)), grouped("History", StoreSettings(&c.Store, false)),
		grouped("Capture", CaptureSettings(&c.Capture)), grouped("Dashboard", DashboardSettings(&c.Dashboard)))
}

// withoutQueries joins URLs for showing: a query may hold a credential.
func withoutQueries(urls []string) string {
	shown := make([]string, len(urls))
	for i, u := range urls {
		var cut bool
		if shown[i], _, cut = strings.Cut(u, "?"); cut {
			shown[i] += "?…"
		}
	}
	return strings.Join(shown, ", ")
}

func (c *Client) settings() []Setting { return ClientSettings(c) }

func (c *Client) rules() (white, black []policy.Rule) { return c.Whitelist, c.Blacklist }

func (c *Client) applyDocument(d *document, settings []Setting) ([]string, error) {
	if d.root == nil {
		return nil, nil
	}
	top, wrong := d.entries("the file", d.root)
	if wrong != nil && len(top) == 0 {
		return nil, wrong
	}
	if d.isWSP(top) {
		notices, err := c.applyWSP(d, top)
		return notices, errors.Join(wrong, err)
	}
	part := section{"client", settings, ServerSettings(new(Server)), &c.Whitelist, &c.Blacklist}
	return nil, errors.Join(wrong, part.apply(d, top))
}

// settle fills in what follows from the rest and checks what belongs together.
func (c *Client) settle() (notices []string, err error) {
	id, changed := identity(c.ID)
	if changed {
		notices = append(notices, fmt.Sprintf("the id is %q: letters, digits and visible ASCII only", id))
	}
	c.ID = id
	if err := errors.Join(c.Dashboard.Check(c.Headless), c.Store.settle(), c.Capture.check(), c.Egress.check(), c.Observing.check()); err != nil {
		return nil, err
	}
	for _, text := range []string{c.Control.idle(), c.Observing.idle()} {
		if text != "" {
			notices = append(notices, text)
		}
	}
	c.PoolMax = max(c.PoolMax, 1)
	c.PoolIdle = min(c.PoolIdle, c.PoolMax)
	for i, server := range c.Server {
		if slices.Contains(c.Server[:i], server) {
			server, _, _ = strings.Cut(server, "?")
			return nil, fmt.Errorf("--server %s is given twice; leave one out", server)
		}
	}
	if err := c.checkRoutes(); err != nil {
		return nil, err
	}
	if c.Protocol == "wsp" && len(c.Expose) > 0 {
		return nil, errors.New("--expose needs the native protocol; leave --protocol wsp out")
	}
	if c.allowsAll() {
		notices = append(notices, "wsp's file without whitelist: every destination is allowed, as in wsp, but metadata and link-local addresses and what the blacklist names; whitelist or --allow narrows it")
	}
	return notices, nil
}

// checkRoutes parses every route with the id that stands for a missing name.
func (c *Client) checkRoutes() error {
	type route struct {
		host string
		tcp  uint16
	}
	seen := make(map[route]bool, len(c.Expose))
	for _, e := range c.Expose {
		host, tcp, _, err := ParseExpose(e, c.ID)
		if err != nil {
			return fmt.Errorf("--expose %w", err)
		}
		r := route{host, tcp}
		switch {
		case !seen[r]:
			seen[r] = true
		case tcp != 0:
			return fmt.Errorf("--expose: port %d is exposed twice; leave one out", tcp)
		default:
			return fmt.Errorf("--expose: the name %q is exposed twice; want NAME=URL with different names", host)
		}
	}
	return nil
}

// allowsAll reports whether wsp's meaning of a missing whitelist holds.
func (c *Client) allowsAll() bool {
	return c.WSPFile && len(c.Whitelist) == 0 && len(c.Allow) == 0
}

// Rules returns the rules for destinations that callers choose.
func (c *Client) Rules() (*policy.Rules, error) { return c.RuleSet().Compile() }

// RuleSet returns what Rules compiles.
func (c *Client) RuleSet() *policy.RuleSet {
	return &policy.RuleSet{Allow: c.Allow, Deny: c.Deny, Whitelist: c.Whitelist, Blacklist: c.Blacklist, AllowAll: c.allowsAll()}
}

// refusal keeps a client from running that has nowhere to go or nothing to
// reach.
func (c *Client) refusal(path string, settings []Setting, flags map[string][]string) error {
	if e := controlRefusal(&c.Control, "client", path, settings, flags); e != nil {
		return e
	}
	nothing := !c.WSPFile && len(c.Allow) == 0 && len(c.Expose) == 0 && len(c.Whitelist) == 0
	if len(c.Server) > 0 && !nothing {
		return nil
	}
	var server []string
	why := "nothing says what callers may reach"
	if len(c.Server) == 0 {
		server = []string{"--server", "ws://127.0.0.1:8080/register"}
		why = "no server is given"
		if nothing {
			why += ", and nothing says what callers may reach"
		}
	}
	if !nothing {
		return &RefusalError{Why: why, Fix: []string{commandLine("client", path, settings, flags, server...)}}
	}
	return &RefusalError{Why: why, Fix: []string{
		commandLine("client", path, settings, flags, append(slices.Clone(server), "--expose", "app=http://localhost:3000")...),
		commandLine("client", path, settings, flags, append(slices.Clone(server), "--allow", "any")...),
	}}
}

// checkServerURL takes a WebSocket URL; without a path it is wsp's /register.
func checkServerURL(v string) (string, error) {
	u, err := parseURL(v, "ws://127.0.0.1:8080/register")
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "ws", "wss":
	default:
		return "", fmt.Errorf("scheme %s is no WebSocket's; want ws://HOST:PORT/register or wss://…", engine.Bound(u.Scheme))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path, u.RawPath = "/register", ""
	}
	return u.String(), nil
}

// checkExpose checks all but the name that an id may stand for, which is known
// when every source was read.
func checkExpose(v string) (string, error) {
	_, _, _, err := ParseExpose(v, "id")
	return v, err
}

func checkAllow(v string) (string, error) {
	_, err := (&policy.RuleSet{Allow: []string{v}}).Compile()
	return v, err
}

func checkDeny(v string) (string, error) {
	_, err := (&policy.RuleSet{Deny: []string{v}}).Compile()
	return v, err
}
