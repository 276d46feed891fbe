package script

import (
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"adit/engine/enginetest/readme"
)

type givenKey struct{}

func given(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: given FROM TO")
	}
	all := ts.Value(givenKey{}).(*[]string)
	*all = append(*all, args...)
}

func free(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: free VARIABLE...")
	}
	// All are taken before the first is let go, so that no two are the same.
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		ts.Check(err)
		ts.Setenv(name, port)
	}
}

func tells(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tells FILE TEXT")
	}
	if text := ts.ReadFile(args[0]); !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not tell %q:\n%s", args[0], args[1], text)
	}
}

func typed(ts *testscript.TestScript, neg bool, page string, args []string) {
	name, any := "", false
	if len(args) == 2 && args[0] == "-any" {
		any, args = true, args[1:]
	}
	if len(args) == 3 && args[0] == "-start" {
		name, args = args[1], args[2:]
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: typed [-any | -start NAME] WORDS")
	}
	text, err := os.ReadFile(page)
	ts.Check(err)
	line, err := readme.Command(string(text), args[0])
	if err != nil {
		ts.Fatalf("%s: %v", page, err)
	}
	line = strings.NewReplacer(*ts.Value(givenKey{}).(*[]string)...).Replace(line)
	ts.Logf("%s", line)
	if _, err := exec.LookPath("sh"); err != nil {
		ts.Fatalf("nothing can be typed without a shell: %v", err)
	}
	if name != "" {
		start(ts, false, []string{name, "sh", "-c", "exec " + line})
		return
	}
	if _, err := exec.LookPath("curl"); err != nil {
		line = "curl() { " + standIn + ` "$@"; }; ` + line
	}
	if err := ts.Exec("sh", "-c", line); !any {
		ts.Check(err)
	}
}
