package command

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asAdit is the variable with which this test binary is the program that shells
// ask.
const asAdit = "COMMAND_TEST_AS_ADIT"

// asked are lines that a shell completes the end of, and what it has to offer.
// What it must not run would leave a file. With -short there are fewer: each starts
// this program, which takes a second under the race detector.
func asked() []struct{ line, word, want string } {
	lines := []struct{ line, word, want string }{
		{"adit serv", "serv", "server"},
		{"adit show c-", "c-", "c-7"},
		{"adit show c-7 e", "e", "edge-1"},
		{"adit ban ", "", "edge-1"},
		{"adit ban b", "b", "büro:1"},
		{"adit ls --filter 'state:busy cli", "state:busy cli", "state:busy client:"},
		{"adit ls --filter cli", "cli", "client:"},
		{"adit server --config ", "", "adit.yaml"},
		{"adit server --secret @se", "@se", "@secret"},
		{"adit themes ", "", "sub"},
		{"adit server --no-such-flag --conf", "--conf", ""},
		{"adit show $(touch pwned) `touch pwned` ", "", ""},
		{"adit show '$(touch pwned)' c-", "c-", "c-7"},
		{"adit show '`touch pwned`' (touch pwned) x", "x", ""},
	}
	if testing.Short() {
		return lines[len(lines)-3:]
	}
	return lines
}

// inShell has a shell run a script in a directory of its own that has an adit, and
// returns what it printed.
func inShell(t *testing.T, shell string, args []string, script string) string {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"adit.yaml": "", "other.txt": "", "secret": "", "bin/adit": "#!/bin/sh\n" + asAdit + "=1 exec '" + os.Args[0] + "' \"$@\"\n"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	var complete bytes.Buffer
	if err := writeCompletion(&complete, full(), shell); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "bin", "script")
	if err := os.WriteFile(source, complete.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), shell, append(args, strings.ReplaceAll(script, "SCRIPT", source))...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb", "LANG=C.UTF-8", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "pwned")); err == nil {
		t.Error("the shell has run what was typed, or what came from the run")
	}
	return string(out)
}

// checkOffers compares what a shell printed, lines after a line "== N" for each
// that was asked.
func checkOffers(t *testing.T, out string) {
	t.Helper()
	parts := strings.Split("\n"+out, "\n== ")
	if len(parts) != len(asked())+1 {
		t.Fatalf("%d answers:\n%s", len(parts)-1, out)
	}
	if strings.TrimSpace(parts[0]) != "" {
		t.Errorf("before any: %s", parts[0])
	}
	for i, a := range asked() {
		lines := strings.Split(strings.TrimSpace(parts[i+1]), "\n")[1:]
		for j, l := range lines {
			l, _, _ = strings.Cut(l, "\t")
			l, _, _ = strings.Cut(l, "  ")
			lines[j] = strings.TrimSuffix(l, "/")
		}
		if a.want != "" && !slices.Contains(lines, a.want) {
			t.Errorf("%s: %q, want %q", a.line, lines, a.want)
		}
		for _, l := range lines {
			if strings.ContainsAny(l, "$`;&()*\x1b") {
				t.Errorf("%s: %q is offered", a.line, l)
			}
		}
	}
}

// singleQuoted quotes for shells that know no escape between single quotes.
func singleQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// bash has no bash-completion here: it must need none.
func TestCompletionInBash(t *testing.T) {
	script := `source SCRIPT
ask() {
    COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=(adit) COMP_TYPE=9 COLUMNS=80
    __adit_complete adit "$3" ''
    echo "== $1"
    for reply in "${COMPREPLY[@]}"; do printf '%s\n' "$reply"; done
}
`
	for i, a := range asked() {
		script += fmt.Sprintf("ask %d %s %s\n", i, singleQuoted(a.line), singleQuoted(a.word))
	}
	checkOffers(t, inShell(t, "bash", []string{"--norc", "--noprofile", "-c"}, script))
}

func TestCompletionInFish(t *testing.T) {
	script := "source SCRIPT\n"
	for i, a := range asked() {
		quoted := strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(a.line)
		script += fmt.Sprintf("echo '== %d'; complete -C '%s'\n", i, quoted)
	}
	checkOffers(t, inShell(t, "fish", []string{"--no-config", "-c"}, script))
}

// zsh gives a completion its words; what it does with the answer is its own.
func TestCompletionInZsh(t *testing.T) {
	script := `source SCRIPT
compadd() { print -rl -- $matches }
compset() { : }
_files() {
    case $1 in
    -g) print -rl -- ${~2} ;;
    -/) print -rl -- *(-/) ;;
    *) print -rl -- *(-.) ;;
    esac
}
ask() {
    local PREFIX=$2
    shift 2
    local -a words=("$@" "$PREFIX")
    integer CURRENT=$#words
    _adit
    return 0
}
`
	for i, a := range asked() {
		t := readTyped(a.line)
		words := []string{"adit"}
		for _, w := range t.words {
			words = append(words, singleQuoted(singleQuoted(w)))
		}
		script += fmt.Sprintf("print '== %d'; ask %d %s %s\n", i, i, singleQuoted(a.word), strings.Join(words, " "))
	}
	checkOffers(t, inShell(t, "zsh", []string{"-f", "-c"}, script))
}

// No shell of it is at hand: that it names the program and asks it is all that is
// held.
func TestCompletionForPowerShell(t *testing.T) {
	var out bytes.Buffer
	if err := writeCompletion(&out, full(), "powershell"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Register-ArgumentCompleter -CommandName 'adit'", "__complete"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in it", want)
		}
	}
	if open, closed := strings.Count(out.String(), "{"), strings.Count(out.String(), "}"); open != closed {
		t.Errorf("%d blocks are opened and %d closed", open, closed)
	}
}

func TestLineThatBashCompletes(t *testing.T) {
	for _, c := range []struct {
		line  string
		words string
		word  string
		quote byte
	}{
		{"adit ", "", "", 0},
		{"adit ls --filter 'a b", "ls|--filter", "a b", '\''},
		{`adit ls --filter "a \"b`, "ls|--filter", `a "b`, '"'},
		{`adit show a\ b c`, "show|a b", "c", 0},
		{"X=1 Y=2 adit show ", "show", "", 0},
		{"cd /tmp && adit show '' x", "show|", "x", 0},
		{"adit ls 2>/dev/null --fi", "ls|2", "--fi", 0},
		{"adit ls > out --fi", "ls", "--fi", 0},
		{"adit tail | ad", "", "ad", 0},
		{"adit ban $(x) e", "", "e", 0},
		{"", "", "", 0},
	} {
		got := readTyped(c.line)
		if strings.Join(got.words, "|") != c.words || got.word != c.word || got.quote != c.quote {
			t.Errorf("%q: %q %q %q", c.line, got.words, got.word, got.quote)
		}
	}
}

func FuzzLineThatBashCompletes(f *testing.F) {
	for _, a := range asked() {
		f.Add(a.line, a.word, "server\tRun\n:4\n")
	}
	f.Fuzz(func(t *testing.T, line, word, offers string) {
		typed := readTyped(line)
		typed.replies(offers, word, 80)
	})
}
