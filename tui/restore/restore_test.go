package restore

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A crash of a large program writes far more than is kept; the end of it decides
// whether there is anything to do.
func TestCrashLongerThanWhatIsKept(t *testing.T) {
	for _, size := range []int{0, 1, 4096, maxCrash - 1, maxCrash, maxCrash + 1, 3 * maxCrash} {
		for _, end := range []string{"", string(rune(done))} {
			sent := strings.Repeat("x", size) + end
			for name, r := range map[string]io.Reader{
				"at once":              strings.NewReader(sent),
				"halves":               iotest.HalfReader(strings.NewReader(sent)),
				"with the end of file": iotest.DataErrReader(strings.NewReader(sent)),
			} {
				text, last := readCrash(r)
				if len(text) != min(len(sent), maxCrash) {
					t.Errorf("%s: kept %d of %d bytes", name, len(text), len(sent))
				}
				if len(sent) > 0 && last != sent[len(sent)-1] {
					t.Errorf("%s: the last of %d bytes is %q", name, len(sent), last)
				}
			}
		}
	}
}

// What a crash says may come from the network.
func TestCrashThatWouldMoveTheCursor(t *testing.T) {
	got := visible([]byte("panic: \x1b[2J\x9b31m\u009b\r\nnext\tline\n\n"))
	if strings.ContainsAny(got, "\x1b\r\u009b") || !strings.HasSuffix(got, "\nnext\tline") || !bytes.Contains([]byte(got), []byte("panic: ")) {
		t.Errorf("%q", got)
	}
}

// The cause of a crash stands first: a thousand goroutines must not scroll it
// away.
func TestCrashLongerThanTheScreen(t *testing.T) {
	got := visible([]byte("panic: why\n" + strings.Repeat("goroutine\n", 1000)))
	if n := strings.Count(got, "\n"); n > crashLines || !strings.HasPrefix(got, "panic: why\n") || !strings.HasSuffix(got, "…") {
		t.Errorf("%d lines: %.40q … %q", n, got, got[len(got)-10:])
	}
}

func TestSequenceLeavesTheAlternateScreenOnlyWhereItWasUsed(t *testing.T) {
	if strings.Contains(sequence(true), "1049") || !strings.Contains(sequence(false), "\x1b[?1049l") {
		t.Error("the alternate screen")
	}
	for _, mode := range []string{"?1000l", "?1002l", "?1003l", "?1006l", "?1004l", "?2004l", "?2026l", "?25h"} {
		if !strings.Contains(sequence(true), mode) {
			t.Errorf("%s is not taken back", mode)
		}
	}
}
