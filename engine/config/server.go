package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// ServerSettings defines the settings of adit server; each sets its field of s.
func ServerSettings(s *Server) []Setting {
	openCallers := textSetting(&s.OpenCallers, "open-callers", "all|exposed", "",
		"let callers in without a credential; exposed opens only exposed names and ports and, without another credential, closes the rest", checkOpenCallers)
	openCallers.Bare, openCallers.Live = "all", true
	return slices.Concat([]Setting{
		textSetting(&s.Listen, "listen", "HOST:PORT", "127.0.0.1:8080", "address of the public listener", checkListen),
		textSetting(&s.Name, "name", "NAME", "", "name of this server (default: the host name)", notEmpty),
		live(secretsSetting(&s.Secret, "secret", "credential of clients")),
		live(reads(textSetting(&s.Tokens, "tokens", "FILE", "", "tokens of clients and callers, as adit token writes them; a change takes effect at once", notEmpty))),
		live(secretsSetting(&s.CallerToken, "caller-token", "credential of callers: bearer token or basic password")),
		textSetting(&s.Domain, "domain", "DOMAIN", "", "serve exposed names directly below this domain", checkDomain),
		textSetting(&s.TCPPorts, "tcp-ports", "FIRST-LAST", "", "ports that clients may expose (default: none)", checkPorts),
		live(switchSetting(&s.OpenClients, "open-clients", "let clients in without a credential")),
		openCallers,
		live(listSetting(&s.Allow, "allow", "any|RULE", "destinations that callers may choose, whatever clients say (default: all)", checkAllow)),
		live(listSetting(&s.Deny, "deny", "RULE", "destinations that they may not", checkDeny)),
		durationSetting(&s.Timeout, "timeout", "1s", "how long a caller waits for a connection", time.Millisecond, 24*time.Hour),
		durationSetting(&s.Ping, "ping", "20s", "interval of pings, announced to native clients", time.Second, 2*time.Minute),
		graceSetting(&s.Grace),
		switchSetting(&s.CompatStatus, "compat-status", "answer with wsp's status codes 526 and 527"),
		protocolSetting(&s.Protocol),
		logLevelSetting(&s.LogLevel),
		logFormatSetting(&s.LogFormat),
		forSetting(&s.For),
		eventsSetting(&s.Events),
		headlessSetting(&s.Headless),
		noWatchSetting(&s.NoWatch),
	}, grouped("TLS", TLSSettings(&s.TLS)), grouped("Limits", LimitSettings(&s.Limits)), grouped("Control", ControlSettings(&s.Control)),
		grouped("Metrics and traces", ObservingSettings(&s.Observing)), grouped("History", StoreSettings(&s.Store, true)),
		grouped("Capture", CaptureSettings(&s.Capture)), grouped("Dashboard", DashboardSettings(&s.Dashboard)))
}

// Settings that both roles have.

func graceSetting(into *time.Duration) Setting {
	s := durationSetting(into, "grace", "30s", "how long exchanges in flight may take at a stop", 0, 24*time.Hour)
	set := s.Set
	s.Set = func(values []string) error {
		err := set(values)
		// Zero would read as "the default" further down.
		*into = max(*into, time.Millisecond)
		return err
	}
	return s
}

func protocolSetting(into *string) Setting {
	return choiceSetting(into, "protocol", "auto", "protocol on the WebSocket", "auto", "adit", "wsp")
}

func logLevelSetting(into *string) Setting {
	return live(choiceSetting(into, "log-level", "info", "least level of the logs on stderr", "debug", "info", "warn", "error"))
}

func forSetting(into *time.Duration) Setting {
	return durationSetting(into, "for", "0s", "end the run after this time; 0 never", 0, forever)
}

func eventsSetting(into *string) Setting {
	return choiceSetting(into, "events", "requests", "events to print when headless", "all", "requests", "lifecycle", "none")
}

func noWatchSetting(into *bool) Setting {
	return switchSetting(into, "no-watch", "load the configuration again only on SIGHUP and adit reload, not when a file of it changes")
}

func headlessSetting(into *bool) Setting {
	return switchSetting(into, "headless", "print events as JSON lines, no dashboard")
}

func (s *Server) settings() []Setting { return ServerSettings(s) }

func (s *Server) rules() (white, black []policy.Rule) { return s.Whitelist, s.Blacklist }

func (s *Server) applyDocument(d *document, settings []Setting) ([]string, error) {
	if d.root == nil {
		return nil, nil
	}
	top, wrong := d.entries("the file", d.root)
	if wrong != nil && len(top) == 0 {
		return nil, wrong
	}
	if d.isWSP(top) {
		notices, err := s.applyWSP(d, top)
		return notices, errors.Join(wrong, err)
	}
	part := section{"server", settings, ClientSettings(new(Client)), &s.Whitelist, &s.Blacklist}
	return nil, errors.Join(wrong, part.apply(d, top))
}

// settle fills in what follows from the rest and checks what belongs together.
func (s *Server) settle() (notices []string, err error) {
	name, changed := identity(s.Name)
	if changed {
		notices = append(notices, fmt.Sprintf("the name is %q: letters, digits and visible ASCII only", name))
	}
	s.Name = name
	if err := errors.Join(s.Dashboard.Check(s.Headless), s.Store.settle(), s.Capture.check(), s.TLS.check(), s.Observing.check()); err != nil {
		return nil, err
	}
	for _, text := range []string{s.Control.idle(), s.TLS.idle(), s.Observing.idle()} {
		if text != "" {
			notices = append(notices, text)
		}
	}
	if s.OpenCallers == "all" && len(s.CallerToken) > 0 {
		return nil, errors.New("--open-callers and --caller-token contradict each other; leave one out, or use --open-callers=exposed")
	}
	if s.OpenClients && len(s.Secret) > 0 {
		return nil, errors.New("--open-clients and --secret contradict each other; leave one out")
	}
	if s.OpenClients && s.TLS.ClientCA != "" {
		return nil, errors.New("--open-clients and --client-ca contradict each other; leave one out")
	}
	if s.OpenCallers == "all" && s.TLS.CallerCA != "" {
		return nil, errors.New("--open-callers and --caller-ca contradict each other; leave one out, or use --open-callers=exposed")
	}
	if s.WSPFile && len(s.Secret) == 0 && s.Tokens == "" && s.TLS.ClientCA == "" && !s.OpenClients {
		s.OpenClients = true
		notices = append(notices, "wsp's file without secretkey: open to all clients, as wsp was; secretkey or --secret closes it")
	}
	if s.WSPFile && len(s.CallerToken) == 0 && s.Tokens == "" && s.TLS.CallerCA == "" && s.OpenCallers == "" {
		s.OpenCallers = "all"
		notices = append(notices, "wsp's file: open to all callers, as wsp was; --caller-token closes it")
	}
	if rules, err := s.Rules(); err != nil {
		return nil, err
	} else if text := addressNotice(rules); text != "" {
		notices = append(notices, text)
	}
	if s.TCPPorts != "" && s.OpenCallers == "" && (len(s.CallerToken) > 0 || s.Tokens != "" || s.TLS.CallerCA != "") {
		notices = append(notices, "TCP callers can't show a credential, so with --caller-token, --tokens or --caller-ca exposed ports are closed; --open-callers=exposed opens them")
	}
	return append(notices, s.tokenNotices()...), nil
}

// RefusalAt is the *RefusalError of a server that listens on ln, whatever address
// its settings have: a service manager may have opened it elsewhere. in is what they
// were made of.
func (s *Server) RefusalAt(ln net.Addr, in Input) error {
	if _, ok := ln.(*net.TCPAddr); !ok {
		return nil // only this machine can reach it
	}
	there := *s
	there.Listen = ln.String()
	return there.refusal(in.Path, ServerSettings(new(Server)), in.Flags)
}

// refusal keeps a listener that others can reach from being open by accident.
func (s *Server) refusal(path string, settings []Setting, flags map[string][]string) error {
	if e := controlRefusal(&s.Control, "server", path, settings, flags); e != nil {
		return e
	}
	clients := len(s.Secret) == 0 && s.TLS.ClientCA == "" && !s.OpenClients
	callers := len(s.CallerToken) == 0 && s.TLS.CallerCA == "" && s.OpenCallers == ""
	if isLoopback(s.Listen) || !clients && !callers {
		return nil
	}
	if s.Tokens != "" {
		tokens, err := s.readTokens()
		if err != nil {
			return fmt.Errorf("--tokens: %w", err)
		}
		clients = clients && tokens.Count(policy.TokenClient) == 0
		callers = callers && tokens.Count(policy.TokenCaller) == 0
		if !clients && !callers {
			return nil
		}
	}
	var who []string
	var secret, open []string
	if clients {
		who = append(who, "clients")
		secret = append(secret, "--secret", "@FILE")
		open = append(open, "--open-clients")
	}
	if callers {
		who = append(who, "callers")
		secret = append(secret, "--caller-token", "@FILE")
		open = append(open, "--open-callers")
	}
	e := &RefusalError{
		Why: fmt.Sprintf("others can reach %s, and it has no credential for %s", s.Listen, strings.Join(who, " and none for ")),
		Fix: []string{
			commandLine("server", path, settings, flags, secret...),
			commandLine("server", path, settings, flags, open...),
		},
	}
	if s.Tokens != "" {
		kind := policy.TokenCaller
		if clients {
			kind = policy.TokenClient
		}
		e.Closed = true
		e.Fix = append([]string{"adit token new --file " + quote(s.Tokens) + " --for " + kind.String() + " --name NAME"}, e.Fix...)
	}
	return e
}

// Rules returns the rules of the file, nil where it has none: then the client
// decides alone.
func (s *Server) Rules() (*policy.Rules, error) {
	if len(s.Whitelist)+len(s.Blacklist)+len(s.Allow)+len(s.Deny) == 0 {
		return nil, nil
	}
	return s.RuleSet().Compile()
}

// RuleSet returns what Rules compiles.
func (s *Server) RuleSet() *policy.RuleSet {
	return &policy.RuleSet{Allow: s.Allow, Deny: s.Deny, Whitelist: s.Whitelist, Blacklist: s.Blacklist,
		AllowAll: len(s.Whitelist)+len(s.Allow) == 0, Server: true}
}

// TCPRange returns the ports that clients may expose, both ends included; 0, 0
// where there are none.
func (s *Server) TCPRange() (first, last uint16, err error) {
	if s.TCPPorts == "" {
		return 0, 0, nil
	}
	low, high, ranged := strings.Cut(s.TCPPorts, "-")
	if !ranged {
		high = low
	}
	if first, err = parsePort(low); err != nil {
		return 0, 0, err
	}
	if last, err = parsePort(high); err != nil {
		return 0, 0, err
	}
	if first > last {
		return 0, 0, fmt.Errorf("the range of ports %s is empty; the smaller port comes first", s.TCPPorts)
	}
	return first, last, nil
}

func checkPorts(v string) (string, error) {
	s := Server{TCPPorts: v}
	_, _, err := s.TCPRange()
	return v, err
}

func checkListen(v string) (string, error) {
	host, port, err := net.SplitHostPort(v)
	if err != nil || host != "" && !isHost(host) {
		return "", fmt.Errorf("%q is no address; want HOST:PORT, such as 127.0.0.1:8080, an IPv6 address in brackets", engine.Bound(v))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%q is no port; want 0 to 65535, where 0 is any free one", engine.Bound(port))
	}
	return v, nil
}

// isLoopback reports whether only this machine can reach a listener.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func checkDomain(v string) (string, error) {
	if v == "" {
		return "", nil
	}
	domain := strings.TrimSuffix(strings.ToLower(v), ".")
	_, err := netip.ParseAddr(domain)
	if err == nil || !isHost(domain) || len(domain) > 253-64 {
		return "", fmt.Errorf("%q is no domain; want a name such as tunnels.example.com, without scheme and port", engine.Bound(v))
	}
	return domain, nil
}

func checkOpenCallers(v string) (string, error) {
	switch v {
	case "all", "exposed":
		return v, nil
	case "", "false":
		return "", nil
	case "true":
		return "all", nil
	}
	return "", fmt.Errorf("%q is unknown; want all or exposed", engine.Bound(v))
}

// identity returns an id or name of 1 to 128 visible ASCII characters, from the
// host name where v is empty, and whether it had to change what was given.
func identity(v string) (id string, changed bool) {
	given := v
	if v == "" {
		v, _ = os.Hostname()
	}
	id = visible(v)
	if id == "" {
		id = "adit"
	}
	return id, given != "" && id != given
}

// visible puts a hyphen for each run of characters that are not visible ASCII.
func visible(v string) string {
	const most = 128
	var b strings.Builder
	gap := false
	for _, r := range strings.TrimSpace(v) {
		if r <= ' ' || r >= 0x7f {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('-')
		}
		gap = false
		b.WriteRune(r)
		if b.Len() >= most {
			break
		}
	}
	return b.String()[:min(b.Len(), most)]
}
