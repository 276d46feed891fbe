package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"adit/engine/command"
	"adit/engine/enginetest"
	"adit/engine/enginetest/readme"
	"adit/engine/enginetest/script"
	"adit/keys"
	"adit/tui/restore"
)

func TestMain(m *testing.M) {
	// The guard of a terminal is started from this binary too.
	if len(os.Args) > 1 && os.Args[1] == restore.Verb {
		os.Exit(guardTerminal(os.Args[2:]))
	}
	programs := map[string]func(){"adit": main}
	for name, program := range script.Programs() {
		programs[name] = func() { os.Exit(program()) }
	}
	testscript.Main(m, programs)
}

// TestScript runs what people type, as testdata/script tells it.
func TestScript(t *testing.T) {
	testscript.Run(t, script.Params("testdata/script", "README.md"))
}

// A key that the README has people press does something.
func TestKeysOfTheReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	table, err := readme.Between(string(text), "| key | what it does |", "\n\n")
	if err != nil {
		t.Fatal(err)
	}
	bound, problems, err := keys.Load("", filepath.Join(t.TempDir(), "none"))
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := readme.Cells(line)
		if len(cells) != 2 {
			continue
		}
		rows++
		for _, key := range readme.Code(cells[0]) {
			if !slices.ContainsFunc(keys.Contexts(), func(c keys.Context) bool { _, ok := bound.Find(key, c); return ok }) {
				t.Errorf("%s does nothing", key)
			}
		}
	}
	if rows < 8 {
		t.Errorf("only %d rows of keys", rows)
	}
}

// TestExamples has the examples of the help texts typed, as testdata/examples tells
// it; a test of engine/command knows which of them it leaves out, and why.
func TestExamples(t *testing.T) {
	var page strings.Builder
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		page.WriteString("```sh\n" + cmd.Example + "\n```\n")
		for _, verb := range cmd.Commands() {
			add(verb)
		}
	}
	add(command.Root(&command.Process{Stdout: io.Discard, Stderr: io.Discard, Keys: writeKeys, Themes: writeThemes}))
	file := filepath.Join(t.TempDir(), "examples.md")
	if err := os.WriteFile(file, []byte(page.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, script.Params("testdata/examples", file))
}

// A stdout that nobody reads, or that was closed, costs lines: requests are
// answered and the end comes in time.
func TestStdoutThatTakesNothing(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprintf("closed=%v", closed), func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if closed {
				r.Close()
			}
			front := enginetest.FreeAddr(t)
			cmd := exec.Command("adit", "server", "--headless", "--events", "all", "--listen", front, "--domain", "example.test")
			cmd.Stdout = w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			defer cmd.Process.Kill()

			client := &http.Client{Transport: &http.Transport{}, Timeout: script.Patience}
			defer client.CloseIdleConnections()
			up := time.Now()
			// Each leaves an event of some 200 bytes; a pipe holds 64 KiB.
			for i := 0; i < 2000; {
				req, err := http.NewRequest(http.MethodGet, "http://"+front+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = "nobody.example.test"
				resp, err := client.Do(req)
				if err != nil && i == 0 && time.Since(up) < script.Patience {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if err != nil {
					t.Fatalf("request %d: %v", i, err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusNotFound {
					t.Fatalf("request %d: status %d", i, resp.StatusCode)
				}
				i++
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Error("still running 5 s after SIGTERM")
			}
		})
	}
}
