// Package proxyproto reads the header with which a load balancer says on whose
// behalf it connects: the PROXY protocol of HAProxy, versions 1 and 2
// (proxy-protocol.txt there). It is for listeners that know who their load
// balancers are: from anybody else such a header is a lie. It imports nothing of
// ours.
package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Wait is how long a load balancer may take to say who connects.
const Wait = 5 * time.Second

const (
	signature = "\r\n\r\n\x00\r\nQUIT\n"
	maxLine   = 107     // bytes of version 1, with CRLF
	maxBlock  = 4 << 10 // bytes of version 2 behind its fixed part
)

// ErrHeader says that what came is no header of this protocol.
var ErrHeader = errors.New("no PROXY protocol header")

// Read reads a header and not a byte of what follows. The address is the caller's;
// the zero AddrPort says that the load balancer speaks for itself (LOCAL, which its
// health checks use) or does not know. The error is io.EOF where nothing came, else
// it wraps ErrHeader or is that of r.
func Read(r io.Reader) (netip.AddrPort, error) {
	var b [maxLine]byte
	// 12 bytes tell the versions apart and are in either.
	n, err := io.ReadFull(r, b[:len(signature)])
	if err != nil {
		if n > 0 && !plausible(b[:n]) {
			return netip.AddrPort{}, fmt.Errorf("%w: it begins with %q", ErrHeader, b[:n])
		}
		return netip.AddrPort{}, err
	}
	if string(b[:n]) == signature {
		return readBlock(r)
	}
	if !plausible(b[:n]) {
		return netip.AddrPort{}, fmt.Errorf("%w: it begins with %q", ErrHeader, b[:n])
	}
	return readLine(r, b[:], n)
}

func plausible(b []byte) bool {
	const line = "PROXY "
	n := min(len(b), len(line))
	return string(b[:n]) == line[:n] || strings.HasPrefix(signature, string(b))
}

// readLine goes on with version 1, of which n bytes are in b. It reads as much at
// a time as is left at least.
func readLine(r io.Reader, b []byte, n int) (netip.AddrPort, error) {
	least := len("PROXY UNKNOWN\r\n")
	for {
		if end := bytes.IndexByte(b[:n], '\n'); end >= 0 {
			if end != n-1 || end == 0 || b[end-1] != '\r' {
				return netip.AddrPort{}, fmt.Errorf("%w: its line does not end in CRLF", ErrHeader)
			}
			return parseLine(string(b[:end-1]))
		}
		switch {
		case n == len(b):
			return netip.AddrPort{}, fmt.Errorf("%w: its line does not end", ErrHeader)
		case n >= 11 && bytes.HasPrefix(b, []byte("PROXY TCP4 ")):
			least = len("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n")
		case n >= 11 && bytes.HasPrefix(b, []byte("PROXY TCP6 ")):
			least = len("PROXY TCP6 :: :: 1 1\r\n")
		}
		more, err := io.ReadFull(r, b[n:max(n+1, least)])
		if n += more; err != nil {
			return netip.AddrPort{}, unexpected(err)
		}
	}
}

func parseLine(line string) (netip.AddrPort, error) {
	no := func(what string) (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("%w: %s in %q", ErrHeader, what, line)
	}
	words := strings.Split(line, " ")
	if len(words) >= 2 && words[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil // the rest of the line is to be ignored
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return no("not PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT")
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		ip, err := netip.ParseAddr(words[2+i])
		if err != nil || ip.Zone() != "" || ip.Is4() != (words[1] == "TCP4") {
			return no("a wrong address")
		}
		word := words[4+i]
		port, err := strconv.ParseUint(word, 10, 16)
		if err != nil || strconv.FormatUint(port, 10) != word {
			return no("a wrong port")
		}
		ends[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return ends[0], nil
}

// readBlock goes on with version 2, behind its signature.
func readBlock(r io.Reader) (netip.AddrPort, error) {
	var none netip.AddrPort
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return none, unexpected(err)
	}
	size := int(binary.BigEndian.Uint16(head[2:]))
	if size > maxBlock {
		return none, fmt.Errorf("%w: it has %d bytes, more than %d", ErrHeader, size, maxBlock)
	}
	block := make([]byte, size)
	if _, err := io.ReadFull(r, block); err != nil {
		return none, unexpected(err)
	}
	const local, proxy = 0x20, 0x21
	switch head[0] {
	case local:
		return none, nil
	case proxy:
	default:
		return none, fmt.Errorf("%w: version and command 0x%02x", ErrHeader, head[0])
	}
	width := 0
	switch head[1] {
	case 0x00, 0x31: // not known, Unix socket
		return none, nil
	case 0x11:
		width = 4
	case 0x21:
		width = 16
	default:
		return none, fmt.Errorf("%w: address family and protocol 0x%02x, which no TCP connection has", ErrHeader, head[1])
	}
	if size < 2*width+4 {
		return none, fmt.Errorf("%w: %d bytes are too few for its addresses", ErrHeader, size)
	}
	if err := checkValues(block[2*width+4:]); err != nil {
		return none, err
	}
	ip, _ := netip.AddrFromSlice(block[:width])
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(block[2*width:])), nil
}

// checkValues walks through the values that may follow the addresses.
func checkValues(b []byte) error {
	for len(b) > 0 {
		if len(b) < 3 || len(b) < 3+int(binary.BigEndian.Uint16(b[1:])) {
			return fmt.Errorf("%w: a value goes beyond its end", ErrHeader)
		}
		b = b[3+int(binary.BigEndian.Uint16(b[1:])):]
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A Greeting is the header of one connection, read when it is asked for first.
type Greeting struct {
	once sync.Once
	addr net.Addr
	err  error
}

// Meet reads the header from c, within Wait, and returns the address of the caller,
// that of c where the load balancer speaks for itself. Every later call returns the
// same. Nothing may have read from c before; its read deadline is cleared.
func (g *Greeting) Meet(c net.Conn) (net.Addr, error) {
	g.once.Do(func() {
		g.addr = c.RemoteAddr()
		if g.err = c.SetReadDeadline(time.Now().Add(Wait)); g.err != nil {
			return
		}
		var from netip.AddrPort
		if from, g.err = Read(c); g.err != nil {
			return
		}
		if from.IsValid() {
			g.addr = net.TCPAddrFromAddrPort(from)
		}
		g.err = c.SetReadDeadline(time.Time{})
	})
	return g.addr, g.err
}

// Listen returns ln with connections of whom from reports to be a load balancer
// under the address of the caller. Accept waits for no header: RemoteAddr and Read
// do, and a connection without one can't be read from.
func Listen(ln net.Listener, from func(netip.Addr) bool) net.Listener {
	return &listener{ln, from}
}

type listener struct {
	net.Listener
	from func(netip.Addr) bool
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || !l.from(Addr(c.RemoteAddr())) {
		return c, err
	}
	return &conn{Conn: c}, nil
}

// Addr returns the IP address of a socket's end, without zone; the zero Addr where
// it has none.
func Addr(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

type conn struct {
	net.Conn
	greeting Greeting
}

func (c *conn) RemoteAddr() net.Addr {
	addr, _ := c.greeting.Meet(c.Conn)
	return addr
}

func (c *conn) Read(p []byte) (int, error) {
	if _, err := c.greeting.Meet(c.Conn); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}
