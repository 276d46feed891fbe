package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lineWait bounds how long a process waits for the other end of the line.
const lineWait = 10 * time.Second

// Sockets are the listeners that this process was started with. A nil *Sockets
// has none. Its methods may be called from any goroutine.
type Sockets struct {
	self string // what to start again; "" not known
	dir  string
	env  []string // without what tells of sockets

	mu       sync.Mutex
	left     []inherited
	line     net.Conn // to the former process; nil: there is none
	decoder  *json.Decoder
	former   bool
	gone     chan struct{}   // closed when the former process is; nil without one
	next     net.Conn        // to the successor
	anywhere map[string]bool // names of listeners whose address is not ours to choose
}

// inherited is a listener that nobody took yet.
type inherited struct {
	name  string
	asked string // address that the former process asked for it by
	any   bool   // it is a service manager's: its address goes before one that is asked for
	ln    net.Listener
}

// Inherited takes the listeners from the environment, which it clears of them, so
// that no process started later believes they were its own. It is called once,
// when the process starts.
func Inherited() (*Sockets, error) {
	s := &Sockets{anywhere: map[string]bool{}}
	s.self = itself()
	s.dir, _ = os.Getwd() // "" is the one of then
	pid, _ := os.LookupEnv(envPID)
	count, _ := os.LookupEnv(envFDs)
	names, _ := os.LookupEnv(envNames)
	former, successor := os.LookupEnv(envFormer)
	for _, key := range []string{envPID, envFDs, envNames, envFormer} {
		_ = os.Unsetenv(key)
	}
	s.env = os.Environ()
	if !successor && (pid == "" || pid != strconv.Itoa(os.Getpid())) {
		return s, nil // somebody else's
	}
	if successor {
		count = former
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return s, fmt.Errorf("inherited sockets: %s is %q: want a number of file descriptors", envFDs, count)
	}
	return s, s.adopt(n, strings.Split(names, ":"), successor)
}

// adopt makes listeners of n file descriptors.
func (s *Sockets) adopt(n int, names []string, successor bool) error {
	var failures []error
	s.left = make([]inherited, 0, n)
	for i := range n {
		in := inherited{name: "unknown", any: !successor}
		if i < len(names) && names[i] != "" {
			in.name = names[i]
		}
		f := own(firstFD+i, in.name)
		ln, err := net.FileListener(f)
		_ = f.Close() // the listener has one of its own
		if err != nil {
			failures = append(failures, fmt.Errorf("inherited socket %d (%s): %w", i, in.name, err))
		}
		in.ln = ln
		s.left = append(s.left, in)
	}
	if successor {
		if err := s.openLine(firstFD + n); err != nil {
			failures = append(failures, err)
		}
	}
	s.left = slices.DeleteFunc(s.left, func(in inherited) bool { return in.ln == nil })
	return errors.Join(failures...)
}

// openLine takes the line, on which the former process has said first how it
// asked for the listeners.
func (s *Sockets) openLine(fd int) error {
	f := own(fd, "line")
	line, err := net.FileConn(f)
	_ = f.Close()
	if err != nil {
		return fmt.Errorf("line to the former process: %w", err)
	}
	s.line, s.decoder, s.former, s.gone = line, json.NewDecoder(line), true, make(chan struct{})
	var m message
	_ = line.SetReadDeadline(time.Now().Add(lineWait))
	if err := s.decoder.Decode(&m); err != nil {
		s.lost()
		return nil // it is gone: what it handed on is ours
	}
	for i := range s.left {
		if i < len(m.Asked) {
			s.left[i].asked = m.Asked[i]
		}
		if i < len(m.Claims) {
			s.left[i].any = m.Claims[i]
		}
	}
	return nil
}

// lost notes that the former process is gone; under mu, or before anybody knows s.
func (s *Sockets) lost() {
	if s.line != nil {
		_ = s.line.Close()
		s.line = nil
		close(s.gone)
	}
}

// Take returns the listener of that name and forgets it: one of a service
// manager wherever it listens, one of a former process if that was asked for
// addr too. "listen" is also what is called "http", what a service manager named
// after its unit if there is one only, and whatever is bound to addr. nil where
// there is none.
func (s *Sockets) Take(name, addr string) net.Listener {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.left, func(in inherited) bool {
		return (in.name == name || in.name == "http" && name == "listen") && (in.any || in.asked == addr)
	})
	if i < 0 && addr != "" {
		i = slices.IndexFunc(s.left, func(in inherited) bool { return in.any && in.ln.Addr().String() == addr })
	}
	if i < 0 && name == "listen" && len(s.left) == 1 && s.left[0].any && s.left[0].unnamed() {
		i = 0
	}
	if i < 0 {
		return nil
	}
	in := s.left[i]
	s.left = slices.Delete(s.left, i, i+1)
	s.anywhere[name] = in.any
	return in.ln
}

// unnamed reports whether a service manager was told no name: it is then that of
// the unit.
func (in *inherited) unnamed() bool {
	return in.name == "unknown" || in.name == "connection" || strings.HasSuffix(in.name, ".socket")
}

// Ports returns the exposed TCP ports that there are listeners of.
func (s *Sockets) Ports() []uint16 {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ports []uint16
	for _, in := range s.left {
		if text, ok := strings.CutPrefix(in.name, PortName); ok {
			if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
				ports = append(ports, uint16(port))
			}
		}
	}
	return ports
}

// CloseRest closes what nobody took, so that no connection waits there for ever,
// and returns what it was, for people.
func (s *Sockets) CloseRest() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, in := range s.left {
		names = append(names, fmt.Sprintf("%s (%s)", in.name, in.ln.Addr()))
		_ = in.ln.Close()
	}
	s.left = nil
	return names
}

// Successor reports whether this process was started by a former one.
func (s *Sockets) Successor() bool { return s != nil && s.former }

// Gone is closed when the former process has ended; nil where there was none. It
// is known after Ready only.
func (s *Sockets) Gone() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.gone
}

// State asks the former process for what it wants its successor to know, as JSON;
// nil where there is none, or where it is gone.
func (s *Sockets) State() ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == nil {
		return nil, nil
	}
	_ = s.line.SetDeadline(time.Now().Add(lineWait))
	var m message
	if err := s.send(message{Ask: true}); err != nil {
		return nil, nil // it is gone
	}
	if err := s.decoder.Decode(&m); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("state of the former process: %w", err)
		}
		s.lost()
		return nil, nil
	}
	return m.State, nil
}

// send writes a message to the former process; under mu.
func (s *Sockets) send(m message) error {
	if s.line == nil {
		return net.ErrClosed
	}
	if err := json.NewEncoder(s.line).Encode(m); err != nil {
		s.lost()
		return err
	}
	return nil
}

// Ready tells a former process, and the service manager, that this one serves.
func (s *Sockets) Ready() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if line := s.line; line != nil {
		_ = line.SetDeadline(time.Time{})
		if s.send(message{Ready: true}) == nil {
			go s.awaitEnd(line)
		}
	}
	return s.Notify("READY=1")
}

// awaitEnd waits for the end of the former process, which says nothing more.
func (s *Sockets) awaitEnd(line net.Conn) {
	var m message
	for s.decoder.Decode(&m) == nil {
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == line {
		s.lost()
	}
}

// Fail tells a former process why this one can't serve.
func (s *Sockets) Fail(why string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != nil {
		_ = s.line.SetDeadline(time.Now().Add(time.Second))
		_ = s.send(message{Error: why[:min(len(why), maxFailures)]}) // it sees the end of the line as well
	}
}

// Close ends the lines.
func (s *Sockets) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost()
	if s.next != nil {
		_ = s.next.Close()
		s.next = nil
	}
}

// Notify tells the service manager something, as sd_notify(3) has it: "READY=1",
// "STOPPING=1", "STATUS=text", more of them on lines of their own. It does nothing
// where there is no service manager.
func (s *Sockets) Notify(state string) error {
	path, ok := os.LookupEnv(envNotify)
	if !ok || path == "" || s == nil {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:] // of Linux, without a place in the file system
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte(state)); err != nil {
		return errors.Join(fmt.Errorf("notify the service manager: %w", err), c.Close())
	}
	return c.Close()
}
