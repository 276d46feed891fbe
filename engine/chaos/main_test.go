//go:build chaos

package chaos

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is the program under test; TestMain sets it.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	binary = os.Getenv("CHAOS_BINARY")
	if binary == "" {
		dir, err := os.MkdirTemp("", "adit-chaos-")
		if err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
		defer os.RemoveAll(dir)
		if binary, err = build(dir); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			return 1
		}
	}
	code := m.Run()
	if code == 0 {
		// An origin of the tests that has refused content waits half a second
		// before it closes (net/http, RST avoidance), and one that has said GOAWAY a
		// second; they end by themselves.
		if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"),
			goleak.IgnoreAnyFunction("net/http.(*http2serverConn).serve")); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			code = 1
		}
	}
	return code
}

func build(dir string) (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	path := filepath.Join(dir, "adit")
	args := []string{"build", "-o", path}
	env := os.Environ()
	if raceEnabled {
		args = append(args, "-race")
	} else { // as it is released
		args = append(args, "-trimpath", "-ldflags", "-s -w")
		env = append(env, "CGO_ENABLED=0")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Env = env
	cmd.Dir = filepath.Dir(string(bytes.TrimSpace(mod)))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build adit: %w\n%s", err, out)
	}
	return path, nil
}

// pick returns the size for CHAOS_SCALE.
func pick(t testing.TB, smoke, ci, night int) int {
	t.Helper()
	switch scale := os.Getenv("CHAOS_SCALE"); scale {
	case "", "smoke":
		return smoke
	case "ci":
		return ci
	case "night":
		return night
	default:
		t.Fatalf("CHAOS_SCALE is %q: want smoke, ci or night", scale)
		return 0
	}
}
