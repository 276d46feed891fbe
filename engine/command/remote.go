package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/filter"
)

const (
	// reachWait bounds how long a verb waits for the first answer of a control
	// socket that somebody listens on.
	reachWait = 5 * time.Second

	// probeWait bounds how long looking for a live socket takes, and probeEvery
	// is how often a verb looks that waits for one.
	probeWait  = time.Second
	probeEvery = 50 * time.Millisecond

	// actWait bounds one action.
	actWait = 10 * time.Second
)

// A remote is the engine of another process, as the verbs know it.
type remote interface {
	engine.Linked
	engine.RequestLog
	Wait(ctx context.Context) error
	About(ctx context.Context) ([]engine.Setting, []string, error)
	Close()
}

// remoteFlags are those of every verb over the control socket.
type remoteFlags struct {
	addr, token, ca string
	cert, key       string
	wait            time.Duration
	json            bool
	filter          string
	reason          string
	dashboard       bool // somebody is going to look at a screen
}

// addRemote gives cmd the flags that reach a run.
func addRemote(cmd *cobra.Command) *remoteFlags {
	f := &remoteFlags{}
	addReach(cmd, f)
	return f
}

func addReach(cmd *cobra.Command, f *remoteFlags) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.addr, "addr", "", "control socket, or https://HOST:PORT; $ADIT_ADDR (default: the only one of this user) [PATH|URL]")
	flags.StringVar(&f.token, "token", "", "credential for https://; $ADIT_TOKEN [SECRET|@FILE]")
	flags.StringVar(&f.cert, "cert", "", "certificate to show to https:// in place of a token, PEM [FILE]")
	flags.StringVar(&f.key, "key", "", "private key of --cert, PEM [FILE]")
	flags.StringVar(&f.ca, "ca", "", "certificates to trust for https:// beside the system's, PEM [FILE]")
	flags.DurationVar(&f.wait, "wait-ready", 0, "wait so long for the control socket to answer [DURATION]")
}

func (f *remoteFlags) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON object a line")
}

// addFilter says in what a filter is written; example is one that the verb takes.
func (f *remoteFlags) addFilter(cmd *cobra.Command, what, example string) {
	cmd.Flags().StringVar(&f.filter, "filter", "", what+" in the dashboard's language: '"+example+"' [FILTER]")
}

func (f *remoteFlags) addReason(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the log of what operators did [TEXT]")
}

// A session is a verb that talks to a run.
type session struct {
	*Process
	flags   *remoteFlags
	remote  remote
	address string

	withheld error // why content that was kept was not shown to us; nil it was
}

// onlyLooks reports whether we may not see everything. What a recording has is
// anybody's.
func (s *session) onlyLooks() bool {
	_, recording := s.remote.(engine.Player)
	return !recording && s.remote.Link().ReadOnly
}

// checkSecrets reports why secrets can't be shown as they are.
func (s *session) checkSecrets(asked bool) error {
	if !asked || !s.onlyLooks() {
		return nil
	}
	return fmt.Errorf("--secrets: %w: they are not shown to %s", engine.ErrReadOnly, s.remote.Link().Name)
}

// over makes what cobra runs of a verb that talks to a run.
func (p *Process) over(f *remoteFlags, do func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return p.verb(func(ctx context.Context) error {
			s, err := p.reach(ctx, f)
			if err != nil {
				return err
			}
			defer s.remote.Close()
			err = do(ctx, s, args)
			if isGone(err) {
				return nil // who read the output has seen enough
			}
			return meant(err)
		})(cmd, args)
	}
}

// isGone reports whether err is that nobody reads the output any more.
func isGone(err error) bool { return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) }

// meant gives err the exit code that it means.
func meant(err error) error {
	var given *exit
	switch {
	case err == nil || errors.As(err, &given):
		return err
	case errors.Is(err, engine.ErrReadOnly):
		return &exit{codeRefused, fmt.Errorf("%w; a token of --control-token may act, and so may the owner of the process over its socket", err)}
	case errors.Is(err, engine.ErrLost):
		return &exit{codeLost, err}
	}
	return err
}

// setting returns a value given as a flag or else in the environment.
func (p *Process) setting(flag, env string) string {
	if flag == "" && p.LookupEnv != nil {
		flag, _ = p.LookupEnv(env)
	}
	return flag
}

// reach finds the run and waits for its first answer.
func (p *Process) reach(ctx context.Context, f *remoteFlags) (*session, error) {
	s := &session{Process: p, flags: f}
	o, err := p.dialOptions(f)
	if err != nil {
		return nil, &exit{codeUsage, err}
	}
	ctx, cancel := context.WithTimeout(ctx, min(max(f.wait, 0), 365*24*time.Hour)+reachWait)
	defer cancel()
	if s.address, err = p.findAddress(ctx, f); err != nil {
		return nil, err
	}
	if s.remote, err = p.dialRemote(context.WithoutCancel(ctx), s.address, o); err != nil {
		var given *exit
		if !errors.As(err, &given) {
			err = &exit{codeUsage, err}
		}
		return nil, err
	}
	s.address = cmp.Or(s.remote.Link().Address, s.address) // without the credential that was in it
	if err := s.ready(ctx); err != nil {
		s.remote.Close()
		return nil, err
	}
	return s, nil
}

func (p *Process) dialRemote(ctx context.Context, address string, o control.DialOptions) (remote, error) {
	if p.dial != nil {
		return p.dial(ctx, address, o)
	}
	if info, err := os.Stat(address); err == nil && info.Mode().IsRegular() {
		rec, err := p.openRecording(address)
		if err != nil {
			return nil, err
		}
		return newPlayed(rec, address), nil
	}
	return control.Dial(ctx, address, o)
}

// dialOptions checks the flags.
func (p *Process) dialOptions(f *remoteFlags) (control.DialOptions, error) {
	o := control.DialOptions{Client: whoami(), Dashboard: f.dashboard}
	var err error
	if token := p.setting(f.token, "ADIT_TOKEN"); token != "" {
		if o.Token, err = config.Credential(token); err != nil {
			return o, fmt.Errorf("--token: %w", err)
		}
	}
	if f.cert != "" || f.key != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return o, fmt.Errorf("--cert and --key: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return o, fmt.Errorf("--ca: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("--ca: %s has no certificate; want PEM", f.ca)
		}
		if o.TLS == nil {
			o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLS.RootCAs = roots
	}
	return o, nil
}

// whoami names this operator, as far as it is known.
func whoami() string {
	name, host := "", ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ = os.Hostname()
	return name + "@" + host
}

// findAddress returns the address that was given, or else that of the only live
// socket. It looks again until there is one, as long as the flags allow.
func (p *Process) findAddress(ctx context.Context, f *remoteFlags) (string, error) {
	if address := p.setting(f.addr, "ADIT_ADDR"); address != "" {
		if strings.Contains(address, ":") {
			return address, nil
		}
		return filepath.Abs(address)
	}
	deadline := time.Now().Add(f.wait)
	for {
		paths, err := sockets(p.LookupEnv)
		if err != nil {
			return "", &exit{codeUsage, fmt.Errorf("%w; --addr says whom to ask", err)}
		}
		live := alive(ctx, paths)
		switch {
		case len(live) == 1:
			return live[0], nil
		case len(live) > 1:
			return "", &exit{codeUsage, errors.New("several runs are there; --addr says whom to ask:\n  --addr " + strings.Join(live, "\n  --addr "))}
		case time.Now().After(deadline):
			return "", &exit{codeUnreachable, errors.New("no server or client of this user runs here with a control socket; --addr says whom to ask elsewhere, --wait-ready 10s waits for one")}
		}
		select {
		case <-ctx.Done():
			return "", &exit{codeInterrupted, nil}
		case <-time.After(probeEvery):
		}
	}
}

// alive returns those sockets that somebody listens on.
func alive(ctx context.Context, paths []string) []string {
	var live []string
	dialer := net.Dialer{Timeout: probeWait}
	for _, path := range paths {
		if c, err := dialer.DialContext(ctx, "unix", path); err == nil {
			c.Close()
			live = append(live, path)
		}
	}
	return live
}

// ready waits for the first data. A run that nobody answers for is waited for
// only if the flags say so.
func (s *session) ready(ctx context.Context) error {
	came := make(chan error, 1)
	go func() { came <- s.remote.Wait(ctx) }()
	deadline := time.Now().Add(s.flags.wait)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-came:
			if err == nil {
				return nil
			}
			return s.unreachable(s.remote.Link(), err)
		case <-tick.C:
			if l := s.remote.Link(); l.Lost && l.Attempt > 0 && (isRefusal(&l) || time.Now().After(deadline)) {
				s.remote.Close() // ends Wait
				<-came
				return s.unreachable(l, nil)
			}
		}
	}
}

// isRefusal reports whether the other end is there and does not want us: trying
// again would not help.
func isRefusal(l *engine.Link) bool { return l.Stuck && l.Attempt < 20 }

// unreachable says why there is no data.
func (s *session) unreachable(l engine.Link, err error) error {
	cause := l.Cause
	if cause == "" && err != nil {
		cause = err.Error()
	}
	if isRefusal(&l) {
		return &exit{codeRefused, fmt.Errorf("%s refuses: %s", s.address, printable(cause))}
	}
	if l.Lost && l.Attempt == 0 {
		cause = "nothing whole came in time; it is stuck, or the way to it is slow"
	}
	if strings.Contains(cause, "certificate") {
		return &exit{codeUnreachable, fmt.Errorf("%s: %s", s.address, printable(cause))} // waiting would not help
	}
	return &exit{codeUnreachable, fmt.Errorf("%s does not answer: %s; --wait-ready 10s waits for it", s.address, printable(cause))}
}

// operator is who asks.
func (s *session) operator() engine.Operator {
	return engine.Operator{Reason: engine.Bound(s.flags.reason)}
}

// write writes whole lines.
func (s *session) write(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := s.Stdout.Write(lines)
	return err
}

// snapshot returns the state of the run.
func (s *session) snapshot(ctx context.Context) (*engine.Snapshot, error) {
	snap := new(engine.Snapshot)
	return snap, s.remote.Snapshot(ctx, snap)
}

// parseFilter reads --filter; what is wrong with it is shown where it is wrong.
func parseFilter(subject filter.Subject, text string) (*filter.Filter, error) {
	f, err := filter.Parse(subject, text)
	if err != nil {
		return nil, filterFault("--filter", text, err)
	}
	return f, nil
}

// filterFault shows what is wrong with the filter that a flag gives.
func filterFault(flag, text string, err error) error {
	var wrong *filter.Error
	if errors.As(err, &wrong) {
		err = fmt.Errorf("%w\n  %s\n  %s%s", err, printable(text),
			strings.Repeat(" ", wrong.Column), strings.Repeat("^", max(wrong.Length, 1)))
	}
	return &exit{codeUsage, fmt.Errorf("%s: %w", flag, err)}
}

// labelsOf returns what filters ask of the labels of clients.
func labelsOf(snap *engine.Snapshot) *filter.Context {
	return &filter.Context{Now: time.Now(), Labels: func(client string) map[string]string {
		for i := range snap.Connections {
			if c := &snap.Connections[i]; c.Client == client && c.Greeting != nil {
				return c.Greeting.Labels
			}
		}
		return nil
	}}
}
