//go:build chaos && linux

package chaos

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const inMounts = "CHAOS_IN_MOUNTS"

// TestDiskFull is row 6: the disk of the history is full under load. The tunnel
// does not notice, the server says so, goes on as soon as there is room, and what
// is missing is counted. It runs itself again where it may mount.
func TestDiskFull(t *testing.T) {
	if os.Getenv(inMounts) != "" {
		diskFull(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: to mount a small disk needs root")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(pick(t, 2, 10, 60))*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestDiskFull$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), inMounts+"=1", "CHAOS_BINARY="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

func diskFull(t *testing.T) {
	const small, large = "size=1m", "size=256m"
	for round := range pick(t, 1, 10, 100) {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, small); err != nil {
			t.Skipf("skipped: no tmpfs can be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		path := filepath.Join(dir, "history.db")
		r := newRig(t, kept(path))
		r.works(t, 5*time.Second)
		mark := r.server.mark()
		p := r.pour(8, pick(t, 2000, 5000, 5000))
		r.notice(t, mark, "suspended", 30*time.Second)
		// In ci for so long that the queue is full, too.
		suspended := measure(p, time.Duration(pick(t, 2, 20, 20))*time.Second)

		mark = r.server.mark()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, large); err != nil {
			t.Fatal(err)
		}
		r.notice(t, mark, "goes on", 40*time.Second) // it tries again every 30 s at least
		written := measure(p, 2*time.Second)
		t.Logf("round %d: suspended %s, written %s", round, suspended, written)
		p.stop()
		if failed := p.faults(); len(failed) > 0 {
			t.Errorf("requests failed: %v", failed)
		}
		ended := r.stopped(t)
		db := database(t, path)
		sound(t, db)
		complete(t, db, ended)
		if number(t, db, "SELECT count(*) FROM gaps WHERE why LIKE 'suspended%'") == 0 {
			t.Log("nothing was lost: the queue was large enough")
		}
		_ = db.Close()
		r.client.kill()
	}
}

// measure returns the figures of a pour over some time.
func measure(p *pour, over time.Duration) string {
	p.take()
	time.Sleep(over)
	p99, n := p.take()
	return figures(p99, n, over)
}

// TestDiskFails is row 6 with errors of the disk itself: for a while every write,
// or every flush, of the history fails. strace injects them.
func TestDiskFails(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("skipped: strace is not installed")
	}
	for _, fault := range []string{"pwrite64:error=ENOSPC", "pwrite64:error=EIO", "fsync,fdatasync:error=EIO", "fsync,fdatasync:error=ENOSPC"} {
		t.Run(fault, func(t *testing.T) {
			for range pick(t, 1, 3, 25) {
				diskFails(t, fault)
			}
		})
	}
}

func diskFails(t *testing.T, fault string) {
	path := filepath.Join(t.TempDir(), "history.db")
	calls, _, _ := strings.Cut(fault, ":")
	// Of each thread; after each one the history waits for twice as long.
	when := ":when=60"
	if calls != "pwrite64" {
		when = ":when=3" // the first are of the start: one that fails then keeps no history
	}
	// A history that is there already: what fails is to write it.
	r := newRig(t, kept(path))
	r.works(t, 5*time.Second)
	before := r.stopped(t)
	r.client.kill()

	wrapper := []string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", "inject=" + fault + when}
	// A small one takes its log in, and flushes it, every few seconds.
	r = newRig(t, kept(path, "--store-bytes", "16MiB"), wrapped(wrapper))
	r.works(t, 10*time.Second)
	p := r.pour(8, 2000)
	// A flush comes with a checkpoint, at the latest when the server ends.
	for deadline := time.Now().Add(time.Duration(pick(t, 5, 30, 30)) * time.Second); len(r.server.since(0, "notice")) == 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	notices := r.server.since(0, "notice")
	switch {
	case len(notices) == 0:
		t.Logf("%s: nothing has failed so far", fault)
	case strings.Contains(first(notices), "in memory only"):
		t.Logf("%s: %s", fault, first(notices))
		return
	default:
		r.notice(t, 0, "goes on", 60*time.Second)
	}
	t.Logf("%s: %s after %d notices, the first %q", fault, measure(p, time.Second), len(notices), first(notices))
	p.stop()
	if failed := p.faults(); len(failed) > 0 {
		t.Errorf("requests failed: %v", failed)
	}
	ended := r.stopped(t)
	db := database(t, path)
	sound(t, db)
	complete(t, db, before+ended)
}

func first(events []event) string {
	if len(events) == 0 {
		return ""
	}
	return events[0].Reason + events[0].Text
}

// wrapped runs the server under another program.
func wrapped(wrapper []string) option { return func(r *rig) { r.wrapper = wrapper } }
