package handover

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// successor returns a process that has a line.
func successor(line net.Conn) *Sockets {
	return &Sockets{line: line, decoder: json.NewDecoder(line), former: true,
		gone: make(chan struct{}), anywhere: map[string]bool{}}
}

// bound is a listener that is bound somewhere.
type bound struct {
	net.Listener
	addr   string
	closed *bool
}

func (b bound) Addr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", b.addr); return a }
func (b bound) Close() error   { *b.closed = true; return nil }

// A socket that serves what it was not meant for, or that is not found.
func TestTake(t *testing.T) {
	const manager, former = true, false
	tests := []struct {
		fault       string
		given       []inherited
		name, addr  string
		want        bool
		fromManager bool
	}{
		{"a former process's by name and address", []inherited{{name: "listen", asked: ":8080"}}, "listen", ":8080", true, former},
		{"the address was changed since", []inherited{{name: "listen", asked: ":8080"}}, "listen", ":9090", false, former},
		{"a manager's goes before the address", []inherited{{name: "http", any: true}}, "listen", ":9090", true, manager},
		{"a manager's named like the setting", []inherited{{name: "listen", any: true}}, "listen", ":9090", true, manager},
		{"a manager's without a name", []inherited{{name: "adit.socket", any: true}}, "listen", ":9090", true, manager},
		{"one of two without names", []inherited{{name: "a.socket", any: true}, {name: "b.socket", any: true}}, "listen", ":9090", false, manager},
		{"by address", []inherited{{name: "a.socket", any: true}, {name: "b.socket", any: true}}, "listen", "127.0.0.1:7", true, manager},
		{"another's name", []inherited{{name: "metrics", any: true}}, "listen", ":9090", false, manager},
		{"control is not http", []inherited{{name: "http", any: true}}, "control", "", false, manager},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			s := &Sockets{anywhere: map[string]bool{}}
			var closed bool
			for _, in := range tt.given {
				in.ln = bound{addr: "127.0.0.1:7", closed: &closed}
				s.left = append(s.left, in)
			}
			ln := s.Take(tt.name, tt.addr)
			if (ln != nil) != tt.want {
				t.Fatalf("taken: %v", ln != nil)
			}
			if tt.want && s.anywhere[tt.name] != tt.fromManager {
				t.Errorf("a manager's: %v", s.anywhere[tt.name])
			}
			left := len(tt.given)
			if tt.want {
				left--
			}
			if rest := s.CloseRest(); len(rest) != left || closed != (left > 0) {
				t.Errorf("left over: %v, closed %v", rest, closed)
			}
			if s.Take(tt.name, tt.addr) != nil {
				t.Error("taken twice")
			}
		})
	}
}

func TestPorts(t *testing.T) {
	s := &Sockets{left: []inherited{{name: "tcp-20001"}, {name: "tcp-x"}, {name: "tcp-70000"}, {name: "http"}, {name: "tcp-0"}, {name: "tcp-9"}}}
	if got := s.Ports(); !slices.Equal(got, []uint16{20001, 9}) {
		t.Errorf("ports %v", got)
	}
}

// What was meant for another process must not be taken.
func TestSocketsOfAnotherProcess(t *testing.T) {
	t.Setenv(envPID, "1")
	t.Setenv(envFDs, "1")
	s, err := Inherited()
	if err != nil || s.Successor() || len(s.left) != 0 {
		t.Errorf("%v, %v", s.left, err)
	}
	for _, key := range []string{envPID, envFDs} {
		if _, ok := os.LookupEnv(key); ok {
			t.Errorf("%s is still there for those who are started later", key)
		}
	}
}

func TestNumberOfSocketsThatIsNone(t *testing.T) {
	for _, text := range []string{"x", "-1", "100000"} {
		t.Setenv(envFormer, text)
		if _, err := Inherited(); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv(envNotify, path)
	s := &Sockets{}
	if err := s.Notify("MAINPID=7\nREADY=1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MAINPID=7\nREADY=1", "READY=1"} {
		b := make([]byte, 100)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := c.Read(b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("%q, %v; want %q", b[:n], err, want)
		}
	}
	t.Setenv(envNotify, filepath.Join(t.TempDir(), "nobody"))
	if s.Notify("READY=1") == nil {
		t.Error("nobody was told, and nobody knows")
	}
	t.Setenv(envNotify, "")
	if err := s.Notify("READY=1"); err != nil {
		t.Error(err)
	}
}
