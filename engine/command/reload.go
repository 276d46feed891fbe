package command

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/client"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/policy"
	"adit/engine/server"
)

const (
	// watchEvery is how often the files of a configuration are looked at.
	watchEvery = 2 * time.Second

	// settleFor is how long a file that has changed must stay as it is until it is
	// read: who writes it in pieces is given the time.
	settleFor = 200 * time.Millisecond
)

// Names of those who are no operator and have a configuration loaded again.
const (
	bySignal = "signal"
	byFile   = "file"
)

// A loading is a configuration that was read and found sound, and what puts it
// in force.
type loading struct {
	loaded  *config.Loaded // never nil
	level   string
	control config.Control
	capture config.Capture
	apply   func(by engine.Operator) error // of the engine; changes nothing where it fails
	restart []string                       // settings that this run can't change, though others could

	authority *x509.CertPool // of operators with a certificate; nil: none
}

// A reloader loads the configuration of a run again when a signal, an operator
// or a changed file asks for it: all of it or nothing, and one time after the
// other.
type reloader struct {
	run   *run
	load  func() (loading, error)
	now   *config.Loaded // what is in force, where no restart is needed
	files map[string]os.FileInfo
	looks bool
	asked chan ask

	cancel context.CancelFunc // nil: it has not begun
	ended  sync.WaitGroup
}

// An ask is one wish for a reload.
type ask struct {
	by     engine.Operator
	answer chan<- answer // with room for one; nil: nobody waits
}

type answer struct {
	got control.Reloaded
	err error
}

// A refresher reads again what it has from files.
type refresher struct {
	name    string // for the error: "certificates"
	prepare func() (swap func(), err error)
}

// refreshes has prepare called at every reload, after the configuration was found
// sound. It changes nothing: swap, called where nothing else was wrong either, puts
// in force what was read, and called again what was before. It is called before
// watch.
func (r *run) refreshes(name string, prepare func() (swap func(), err error)) {
	r.refreshers = append(r.refreshers, refresher{name, prepare})
}

// reloads has the run load its configuration again when it is asked to. It is
// called once, before watch. looks says whether changed files ask too.
func (r *run) reloads(now *config.Loaded, looks bool, load func() (loading, error)) {
	r.reload = &reloader{run: r, load: load, now: now, looks: looks, asked: make(chan ask, 1)}
	r.reload.follow(now.Files)
}

// begin starts the reloader. A nil one does nothing.
func (l *reloader) begin() {
	if l == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.ended.Go(func() { l.serve(ctx) })
}

// stop ends the reloader. A nil one does not run.
func (l *reloader) stop() {
	if l != nil && l.cancel != nil {
		l.cancel()
		l.ended.Wait()
	}
}

// hangup asks for a reload in the name of a signal. One that is asked for already
// is enough.
func (r *run) hangup() {
	if r.reload == nil {
		r.log.Warn("hangup ignored: there is nothing to load again")
		return
	}
	select {
	case r.reload.asked <- ask{by: engine.Operator{Name: bySignal}}:
	default:
	}
}

// ask waits for a reload.
func (l *reloader) ask(ctx context.Context, by engine.Operator) (control.Reloaded, error) {
	came := make(chan answer, 1)
	select {
	case l.asked <- ask{by, came}:
	case <-ctx.Done():
		return control.Reloaded{}, ctx.Err()
	}
	select {
	case a := <-came:
		return a.got, a.err
	case <-ctx.Done():
		return control.Reloaded{}, fmt.Errorf("the reload goes on without you: %w", ctx.Err())
	}
}

func (l *reloader) serve(ctx context.Context) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	tick := timer.C
	if !l.looks || len(l.files) == 0 {
		tick = nil // no reload adds a file where none was named
	}
	unsettled := false
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-l.asked:
			got, err := l.reload(ctx, a.by)
			if a.answer != nil {
				a.answer <- answer{got, err}
			}
		case <-tick:
			next := watchEvery
			switch {
			case l.look():
				unsettled, next = true, settleFor
			case unsettled:
				unsettled = false
				_, _ = l.reload(ctx, engine.Operator{Name: byFile}) // told where it fails
			}
			timer.Reset(next)
		}
	}
}

// follow looks at these files from now on, and at no others.
func (l *reloader) follow(files []string) {
	former := l.files
	l.files = make(map[string]os.FileInfo, len(files))
	for _, path := range files {
		info, known := former[path]
		if !known {
			info = fileInfo(path)
		}
		l.files[path] = info
	}
}

// look reports whether a file is not what it was: another one, of another size
// or time, there or not.
func (l *reloader) look() bool {
	changed := false
	for path, was := range l.files {
		is := fileInfo(path)
		l.files[path] = is
		switch {
		case was == nil || is == nil:
			changed = changed || (was == nil) != (is == nil)
		case !os.SameFile(was, is) || !was.ModTime().Equal(is.ModTime()) || was.Size() != is.Size():
			changed = true
		}
	}
	return changed
}

// fileInfo follows links; nil: it is not there, or can't be looked at.
func fileInfo(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// reload loads the configuration and puts it in force, or says why not.
func (l *reloader) reload(ctx context.Context, by engine.Operator) (control.Reloaded, error) {
	got := control.Reloaded{Changed: []string{}, Restart: []string{}}
	l.look()
	next, err := l.load()
	if err != nil {
		l.follow(slices.Concat(l.now.Files, next.loaded.Files))
		return got, l.refuse(by, err)
	}
	if err := l.putInForce(&next, by); err != nil {
		return got, l.refuse(by, err)
	}
	l.follow(next.loaded.Files)
	changes := next.loaded.Changes(l.now)
	for _, c := range changes {
		if c.Live && !slices.Contains(next.restart, c.Name) {
			got.Changed = append(got.Changed, c.Name)
		} else {
			got.Restart = append(got.Restart, c.Name)
		}
	}
	l.run.applied(ctx, &next, got.Changed, by)
	// What needs a restart is told until it is there.
	l.now = next.loaded.Keeping(l.now, got.Restart)
	l.tell(by, &got)
	return got, nil
}

// putInForce does so with what may still be wrong. On an error nothing has changed.
func (l *reloader) putInForce(next *loading, by engine.Operator) error {
	var err error
	if next.authority, err = l.run.nextControlCA(next); err != nil {
		return err
	}
	swaps := make([]func(), len(l.run.refreshers))
	for i, f := range l.run.refreshers {
		if swaps[i], err = f.prepare(); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	all := func() {
		for _, swap := range swaps {
			swap()
		}
	}
	all() // before the rest: a new secret may have a client dial at once
	if err = next.apply(by); err != nil {
		all()
	}
	return err
}

// applied puts in force what is not the engine's.
func (r *run) applied(ctx context.Context, next *loading, changed []string, by engine.Operator) {
	r.level.Set(levelOf(next.level))
	settings := slices.Clone(next.loaded.Settings)
	r.setTold(settings)
	if r.control != nil {
		r.control.Update(settings, next.control.Tokens, next.control.ReadTokens)
		r.control.Trust(next.authority)
	}
	r.settings.Store(&settings)
	if slices.Contains(changed, "capture") || slices.Contains(changed, "capture-content") {
		if err := r.engine.SetCapture(ctx, next.capture.Engine(), by); err != nil && !errors.Is(err, context.Canceled) {
			r.log.Warn("reload: capture", "err", err)
		}
	}
}

// tell says what has changed: an event, and a line in the log. A file that was
// touched is no news.
func (l *reloader) tell(by engine.Operator, got *control.Reloaded) {
	changed, restart := strings.Join(got.Changed, ", "), strings.Join(got.Restart, ", ")
	if by.Name == byFile && changed == "" && restart == "" {
		return
	}
	target := changed
	if target == "" {
		target = "nothing new"
	}
	if restart != "" {
		target += "; needs a restart: " + restart
	}
	r := l.run
	r.log.Info("reloaded", "operator", by.Name, "changed", changed, "needs_restart", restart)
	r.bus.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionReload, Client: r.client(),
		Operator: engine.Bound(by.Name), Reason: engine.Bound(by.Reason), Target: engine.Bound(target)})
}

// refuse says why nothing has changed.
func (l *reloader) refuse(by engine.Operator, err error) error {
	l.run.log.Error("reload refused: nothing has changed", "operator", by.Name, "err", err.Error())
	text := "reload refused, nothing has changed: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	l.run.bus.Publish(engine.Event{Kind: engine.KindNotice, Client: l.run.client(), Reason: engine.Bound(text)})
	return fmt.Errorf("nothing has changed: %w", err)
}

// client returns the id of a client's run, "" for a server's.
func (r *run) client() string {
	if r.plan.role == engine.RoleClient.String() {
		return r.plan.name
	}
	return ""
}

// reloadedSettings returns the settings as a reload left them, nil before one.
func (r *run) reloadedSettings() []engine.Setting {
	if now := r.settings.Load(); now != nil {
		return *now
	}
	return nil
}

// reloadFor returns what the control socket calls, nil where there is nothing to
// load again.
func (r *run) reloadFor() func(context.Context, engine.Operator) (control.Reloaded, error) {
	if r.reload == nil {
		return nil
	}
	return r.reload.ask
}

// reloadServer loads the configuration of a server that runs and was started with
// first. listening is where.
func reloadServer(in config.Input, first *config.Server, srv *server.Server, listening []net.Addr) (loading, error) {
	c, loaded, err := config.LoadServerFrom(in)
	next := loading{loaded: loaded}
	if err == nil {
		err = refusalAt(c, listening, in)
	}
	// Revoking the last token must take effect.
	if refusal := new(config.RefusalError); err != nil && (!errors.As(err, &refusal) || !refusal.Closed) {
		return next, err
	}
	live, err := serverLive(c)
	if err := cmp.Or(checkServerFiles(c, loaded), err); err != nil {
		return next, err
	}
	next.level, next.control, next.capture = c.LogLevel, c.Control, c.Capture
	if first.TLS.ClientCA == "" && first.TLS.CallerCA == "" {
		next.restart = []string{"client-ca", "caller-ca"} // the listener asks nobody for a certificate
	}
	next.restart = append(next.restart, fixedControl(&first.Control)...)
	next.apply = func(by engine.Operator) error {
		srv.Update(live, by)
		return nil
	}
	return next, nil
}

// reloadClient loads the configuration of a client that runs under rules that
// were made of former. Where they say the same they stay: what was dialled under
// them does too.
func (p *Process) reloadClient(in config.Input, former **config.Client, held **policy.Rules, cl *client.Client) (loading, error) {
	c, loaded, err := config.LoadClientFrom(in)
	next := loading{loaded: loaded}
	if err != nil {
		return next, err
	}
	rules, err := c.Rules()
	if err := cmp.Or(p.checkClientFiles(c, loaded), err); err != nil {
		return next, err
	}
	next.level, next.control, next.capture = c.LogLevel, c.Control, c.Capture
	if sameRules(*former, c) {
		rules = *held
	}
	next.restart = fixedControl(&(*former).Control)
	next.apply = func(engine.Operator) error {
		if err := cl.Update(clientLive(c, rules)); err != nil {
			return err
		}
		*former, *held = c, rules
		return nil
	}
	return next, nil
}

// sameRules reports whether two clients allow the same.
func sameRules(a, b *config.Client) bool {
	return a.WSPFile == b.WSPFile && slices.Equal(a.Allow, b.Allow) && slices.Equal(a.Deny, b.Deny) &&
		reflect.DeepEqual(a.Whitelist, b.Whitelist) && reflect.DeepEqual(a.Blacklist, b.Blacklist)
}

// clientLive turns those settings into options that may change in a run.
func clientLive(c *config.Client, rules *policy.Rules) client.Live {
	return client.Live{Secret: c.Secret, Rules: rules}
}
