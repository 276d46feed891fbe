package command

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/config"
)

// A reloading is a run with a configuration that tests load.
type reloading struct {
	*run
	loads, applied atomic.Int32
	inside         atomic.Int32
	err            error
	refuse         error // of the engine
	files          []string
	logs           bytes.Buffer
}

func startReloading(t *testing.T, looks bool, files ...string) *reloading {
	t.Helper()
	x := &reloading{files: files}
	x.run = startRun(t, &Process{Stderr: &x.logs})
	x.engine = newFakeRun()
	x.reloads(&config.Loaded{Files: files}, looks, func() (loading, error) {
		if x.inside.Add(1) > 1 {
			t.Error("two reloads at once")
		}
		time.Sleep(time.Millisecond)
		x.loads.Add(1)
		x.inside.Add(-1)
		return loading{loaded: &config.Loaded{Files: x.files}, apply: func(engine.Operator) error {
			if x.refuse != nil {
				return x.refuse
			}
			x.applied.Add(1)
			return nil
		}}, x.err
	})
	x.reload.begin()
	return x
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What replaces files without a trace in one of size, time and inode would keep a
// revoked credential in force.
func TestChangedFilesAskForAReload(t *testing.T) {
	dir := t.TempDir()
	file, linked, mount := filepath.Join(dir, "adit.yaml"), filepath.Join(dir, "secret"), filepath.Join(dir, "..data")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-time.Hour)
	put(t, file, "one")
	must(os.Chtimes(file, past, past))
	for _, version := range []string{"v1", "v2"} {
		must(os.Mkdir(filepath.Join(dir, version), 0o700))
		put(t, filepath.Join(dir, version, "secret"), "same")
		must(os.Chtimes(filepath.Join(dir, version, "secret"), past, past))
	}
	must(os.Symlink("v1", mount))
	must(os.Symlink("..data/secret", linked))
	synctest.Test(t, func(t *testing.T) {
		x := startReloading(t, true, file, linked)
		defer x.end()
		for _, change := range []struct {
			name string
			do   func()
		}{
			{"nothing", nil},
			{"another size", func() { put(t, file, "three"); must(os.Chtimes(file, past, past)) }},
			{"another time", func() { must(os.Chtimes(file, past.Add(time.Second), past.Add(time.Second))) }},
			{"another file under its name", func() {
				put(t, file+".new", "three")
				must(os.Chtimes(file+".new", past.Add(time.Second), past.Add(time.Second)))
				must(os.Rename(file+".new", file))
			}},
			{"the link of a mounted volume", func() {
				must(os.Symlink("v2", mount+"_tmp"))
				must(os.Rename(mount+"_tmp", mount))
			}},
			{"gone", func() { must(os.Remove(file)) }},
			{"back", func() { put(t, file, "four") }},
		} {
			before := x.loads.Load()
			want := before
			if change.do != nil {
				change.do()
				want++
			}
			time.Sleep(watchEvery + 2*settleFor)
			if got := x.loads.Load(); got != want {
				t.Errorf("%s: loaded %d times", change.name, got-before)
			}
		}
	})
}

// Half a file must not be taken for the whole.
func TestFileThatIsBeingWrittenIsWaitedFor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "adit.yaml")
	put(t, file, "0")
	synctest.Test(t, func(t *testing.T) {
		x := startReloading(t, true, file)
		defer x.end()
		time.Sleep(watchEvery - settleFor/4)
		for i := range 20 {
			put(t, file, strings.Repeat("x", i+2))
			time.Sleep(settleFor / 2) // not at the moment when it is looked at
			if got := x.loads.Load(); got > 0 {
				t.Fatalf("loaded %d times while it was written", got)
			}
		}
		time.Sleep(watchEvery)
		if got := x.loads.Load(); got != 1 {
			t.Errorf("loaded %d times at the end", got)
		}
	})
}

func TestNoWatchLeavesFilesAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "adit.yaml")
	put(t, file, "one")
	synctest.Test(t, func(t *testing.T) {
		x := startReloading(t, false, file)
		defer x.end()
		put(t, file, "another")
		time.Sleep(time.Minute)
		if got := x.loads.Load(); got != 0 {
			t.Errorf("loaded %d times", got)
		}
		x.hangup()
		time.Sleep(time.Second)
		if got := x.loads.Load(); got != 1 {
			t.Errorf("loaded %d times on a hangup", got)
		}
	})
}

func TestReloadsAreOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startReloading(t, true)
		defer x.end()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := x.reload.ask(t.Context(), engine.Operator{Name: "ann"}); err != nil {
					t.Error(err)
				}
			})
			x.hangup()
		}
		all.Wait()
		if got := x.loads.Load(); got < 20 {
			t.Errorf("20 asked, loaded %d times", got)
		}
	})
}

// What is half in force is worse than what was.
func TestReloadThatFailsChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startReloading(t, true)
		defer x.end()
		broken := errors.New("adit.yaml:3: ping: soon")
		x.err = broken
		if _, err := x.reload.ask(t.Context(), engine.Operator{Name: "ann"}); !errors.Is(err, broken) {
			t.Errorf("%v, want %v", err, broken)
		}
		x.err = nil
		expired := errors.New("cert.pem has expired")
		inForce, prepared := "old", "new"
		x.refreshes("way out", func() (func(), error) {
			return func() { inForce, prepared = prepared, inForce }, nil
		})
		refused := errors.New("the run has ended")
		x.refuse = refused
		if _, err := x.reload.ask(t.Context(), engine.Operator{Name: "ann"}); !errors.Is(err, refused) {
			t.Errorf("%v, want %v", err, refused)
		}
		if inForce != "old" {
			t.Error("the engine refused, and what was read from files is in force")
		}
		x.refuse = nil
		x.refreshes("certificates", func() (func(), error) { return nil, expired })
		if _, err := x.reload.ask(t.Context(), engine.Operator{Name: "ann"}); !errors.Is(err, expired) {
			t.Errorf("%v, want %v", err, expired)
		}
		if got := x.applied.Load(); got != 0 || inForce != "old" {
			t.Errorf("put in force %d times, and of what was read from files the %s", got, inForce)
		}
		if text := x.logs.String(); !strings.Contains(text, "adit.yaml:3") || !strings.Contains(text, "expired") {
			t.Errorf("the log does not say why: %s", text)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := x.reload.ask(ctx, engine.Operator{}); err == nil {
			t.Error("who does not wait any more is told that it worked")
		}
	})
}
