package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/service"
)

// lastWords bounds how long the end of a run waits for those who are attached
// to hear of it.
const lastWords = 500 * time.Millisecond

// serveControl answers the admin API for e: on a Unix socket, without which a
// run goes on, and where it is asked for over TLS.
func (r *run) serveControl(ctx context.Context, e engine.Engine, log engine.RequestLog) error {
	if log == nil {
		return nil
	}
	var listeners []net.Listener
	path, err := r.socketPath()
	if path != "" {
		var ln net.Listener
		if ln, err = r.listenSocket(path); err == nil {
			listeners = append(listeners, ln)
		} else {
			path = ""
		}
	}
	switch {
	case errors.Is(err, control.ErrInUse):
		r.notice(fmt.Sprintf("no control socket: %v; --control PATH chooses another", err))
	case err != nil:
		r.notice(fmt.Sprintf("no control socket: %v; --control PATH chooses another place, --control none does without", err))
	}
	authority, err := controlCA(r.plan.control.Listen, r.plan.control.ClientCA)
	var secured net.Listener
	if err == nil {
		secured, err = r.listenTLS(ctx)
	}
	if err != nil {
		for _, ln := range listeners {
			ln.Close()
		}
		return err
	}
	r.tellSetting("control", path)
	if secured != nil {
		listeners = append(listeners, secured)
		r.tellSetting("control-listen", secured.Addr().String())
	}
	if len(listeners) == 0 {
		return nil
	}
	c := &r.plan.control
	r.control = control.NewServer(control.Options{
		Engine: e, Log: log, Settings: r.plan.settings, Commands: r.plan.commands,
		Reload: r.reloadFor(), Restart: r.restartFor(), Tokens: c.Tokens, ReadTokens: c.ReadTokens, ClientCA: authority,
		Logger: r.component("control"), OnPanic: r.onPanic,
		Metrics: r.watched.metrics, Ready: r.watched.ready,
	})
	for _, ln := range listeners {
		r.serving.Go(func() {
			if err := r.control.Serve(ln); err != nil {
				r.component("control").Warn("no longer served", "address", ln.Addr().String(), "err", err)
			}
		})
	}
	return nil
}

// socketPath returns where the control socket of the run is; "" where there
// shall be none.
func (r *run) socketPath() (string, error) {
	switch path := r.plan.control.Socket; {
	case path == config.None, r.plan.role == "" && path == "", r.process.LookupEnv == nil && path == "":
		return "", nil
	case path != "":
		return path, nil
	}
	dirs, err := socketDirs(r.process.LookupEnv)
	if err != nil {
		return "", err
	}
	return filepath.Join(dirs[0], r.ownFile(socketExt)), nil
}

// attached returns how many operators are attached, in all.
func (r *run) attached() int {
	if r.control == nil {
		return 0
	}
	return r.control.Attached()
}

// endControl ends the admin API. Before, it lets those who watch hear what the
// bus has for them: until told is closed, or for a moment.
func (r *run) endControl(told <-chan struct{}) {
	if r.control == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	select {
	case <-told:
	case <-ctx.Done():
	}
	if err := r.control.Shutdown(ctx); err != nil {
		r.component("control").Warn("end", "err", err)
	}
	r.serving.Wait()
}

// socketExt is how the names of control sockets end.
const socketExt = ".sock"

// socketDirs returns the directories where control sockets are, the one for new
// sockets first.
func socketDirs(env func(string) (string, bool)) ([]string, error) {
	if env == nil {
		return nil, errors.New("there is no environment")
	}
	var dirs []string
	if dir := managed(env, "RUNTIME_DIRECTORY"); dir != "" {
		dirs = append(dirs, dir)
	}
	if dir, _ := env("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, "adit"))
	}
	state, err := stateDir(env)
	if err == nil && !sameDir(dirs, state) {
		dirs = append(dirs, state)
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("XDG_RUNTIME_DIR is not set: %w", err)
	}
	return dirs, nil
}

// sameDir reports whether dir is one of dirs, by whatever name.
func sameDir(dirs []string, dir string) bool {
	info, err := os.Stat(dir)
	return slices.ContainsFunc(dirs, func(other string) bool {
		if filepath.Clean(other) == filepath.Clean(dir) {
			return true
		}
		known, otherErr := os.Stat(other)
		return err == nil && otherErr == nil && os.SameFile(info, known)
	})
}

// sockets lists the control sockets that there are, dead ones among them: those of the
// user, and those of services that he may see.
func sockets(env func(string) (string, bool)) ([]string, error) {
	dirs, err := socketDirs(env)
	found := socketsIn(append(dirs, service.SocketDirs()...))
	if err != nil && len(found) == 0 {
		return nil, err
	}
	return found, nil
}

func socketsIn(dirs []string) []string {
	var found []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // most of the time it is not there
		}
		for _, entry := range entries {
			if entry.Type()&os.ModeSocket != 0 && strings.HasSuffix(entry.Name(), socketExt) {
				found = append(found, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return found
}
