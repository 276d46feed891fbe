package proxyproto

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const sig = signature

func block(command, family byte, rest string) string {
	return sig + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	v4 = "\xcb\x00\x71\x09\x0a\x00\x00\x01\x15\xb3\x01\xbb" // 203.0.113.9:5555 to 10.0.0.1:443
	v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x15\xb3\x01\xbb"
)

func headers() map[string]struct{ in, want string } {
	return map[string]struct{ in, want string }{
		"v1":               {"PROXY TCP4 203.0.113.9 10.0.0.1 5555 443\r\n", "203.0.113.9:5555"},
		"v1 shortest":      {"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "1.1.1.1:1"},
		"v1 ipv6":          {"PROXY TCP6 2001:db8::9 2001:db8::1 5555 443\r\n", "[2001:db8::9]:5555"},
		"v1 ipv6 short":    {"PROXY TCP6 :: :: 1 1\r\n", "[::]:1"},
		"v1 mapped":        {"PROXY TCP6 ::ffff:203.0.113.9 ::1 5555 443\r\n", "203.0.113.9:5555"},
		"v1 longest":       {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		"v1 unknown":       {"PROXY UNKNOWN\r\n", "local"},
		"v1 unknown long":  {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "local"},
		"v2":               {block(0x21, 0x11, v4), "203.0.113.9:5555"},
		"v2 ipv6":          {block(0x21, 0x21, v6), "[2001:db8::9]:5555"},
		"v2 with values":   {block(0x21, 0x11, v4+"\x01\x00\x02h2\x04\x00\x00"), "203.0.113.9:5555"},
		"v2 local":         {block(0x20, 0x00, ""), "local"},
		"v2 local, filled": {block(0x20, 0x11, v4), "local"},
		"v2 unknown":       {block(0x21, 0x00, "whatever"), "local"},
		"v2 unix":          {block(0x21, 0x31, strings.Repeat("x", 216)), "local"},

		"nothing":          {"", "EOF"},
		"request":          {"GET / HTTP/1.1\r\n\r\n", "no PROXY"},
		"short request":    {"GET /", "no PROXY"},
		"tls":              {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00", "no PROXY"},
		"half a signature": {sig[:7], "EOF"},
		"half of v1":       {"PROXY TCP4 203.0.113.9", "EOF"},
		"half of v2":       {block(0x21, 0x11, v4)[:20], "EOF"},
		"lower case":       {"proxy tcp4 203.0.113.9 10.0.0.1 5555 443\r\n", "no PROXY"},
		"udp":              {"PROXY UDP4 203.0.113.9 10.0.0.1 5555 443\r\n", "no PROXY"},
		"families mixed":   {"PROXY TCP4 2001:db8::9 10.0.0.1 5555 443\r\n", "no PROXY"},
		"other mix":        {"PROXY TCP6 203.0.113.9 ::1 5555 443\r\n", "no PROXY"},
		"zone":             {"PROXY TCP6 fe80::1%eth0 ::1 5555 443\r\n", "no PROXY"},
		"two spaces":       {"PROXY TCP4  203.0.113.9 10.0.0.1 5555 443\r\n", "no PROXY"},
		"five words":       {"PROXY TCP4 203.0.113.9 10.0.0.1 5555\r\n\r\n", "no PROXY"},
		"seven words":      {"PROXY TCP4 203.0.113.9 10.0.0.1 5555 443 9\r\n", "no PROXY"},
		"leading zero":     {"PROXY TCP4 203.0.113.9 10.0.0.1 05555 443\r\n", "no PROXY"},
		"octal address":    {"PROXY TCP4 203.0.113.010 10.0.0.1 5555 443\r\n", "no PROXY"},
		"sign":             {"PROXY TCP4 203.0.113.9 10.0.0.1 +555 443\r\n", "no PROXY"},
		"port too large":   {"PROXY TCP4 203.0.113.9 10.0.0.1 65536 443\r\n", "no PROXY"},
		"only LF":          {"PROXY TCP4 203.0.113.9 10.0.0.1 5555 443\nx", "no PROXY"},
		"endless":          {"PROXY UNKNOWN " + strings.Repeat("x", 200), "no PROXY"},
		"v2 version 1":     {block(0x11, 0x11, v4), "no PROXY"},
		"v2 command 2":     {block(0x22, 0x11, v4), "no PROXY"},
		"v2 udp":           {block(0x21, 0x12, v4), "no PROXY"},
		"v2 short":         {block(0x21, 0x21, v4), "no PROXY"},
		"v2 broken value":  {block(0x21, 0x11, v4+"\x01\x00\x09h2"), "no PROXY"},
		"v2 cut value":     {block(0x21, 0x11, v4+"\x01\x00"), "no PROXY"},
		"v2 too large":     {block(0x21, 0x11, v4+strings.Repeat("\x00", maxBlock)), "no PROXY"},
	}
}

// TestHeaderThatIsMisread: of each not a byte more is read than it has.
func TestHeaderThatIsMisread(t *testing.T) {
	for name, c := range headers() {
		for _, piecewise := range []bool{false, true} {
			const rest = "GET / HTTP/1.1\r\n\r\n"
			in := c.in
			good := c.want == "local" || strings.Contains(c.want, ":")
			if good {
				in += rest
			}
			source := strings.NewReader(in)
			var r io.Reader = source
			if piecewise {
				r = iotest.OneByteReader(source)
			}
			got, err := Read(r)
			left, _ := io.ReadAll(source)
			switch {
			case good && (err != nil || string(left) != rest || c.want != "local" && got.String() != c.want || c.want == "local" && got.IsValid()):
				t.Errorf("%s: %v, %v, left %q", name, got, err, left)
			case c.want == "EOF" && !(errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)):
				t.Errorf("%s: %v", name, err)
			case c.want == "no PROXY" && !errors.Is(err, ErrHeader):
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range headers() {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := strings.NewReader(string(in))
		got, err := Read(r)
		if err != nil && got.IsValid() {
			t.Fatal("an address with an error")
		}
		if read := len(in) - r.Len(); err == nil && in[0] == 'P' && (read > maxLine || !strings.HasSuffix(string(in[:read]), "\r\n")) {
			t.Fatalf("read %q", in[:read])
		}
		if got.Addr().Zone() != "" || got.Addr().Is4In6() {
			t.Fatal(got)
		}
	})
}

// TestLoadBalancerThatSaysNothing costs its own connection, in time, and no other.
func TestLoadBalancerThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		began := time.Now()
		c := &conn{Conn: ours}
		if c.RemoteAddr() != ours.RemoteAddr() {
			t.Error("another address")
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took != Wait {
			t.Errorf("after %v", took)
		}
		theirs.Close()
		c.Close()
	})
}

// TestHeaderOfAStranger is content like any other.
func TestHeaderOfAStranger(t *testing.T) {
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	trusted := false
	ln := Listen(base, func(a netip.Addr) bool { return trusted && a == netip.MustParseAddr("127.0.0.1") })
	defer ln.Close()
	for _, trusted = range []bool{false, true} {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		const line = "PROXY TCP4 203.0.113.9 10.0.0.1 5555 443\r\n"
		io.WriteString(c, line+"rest")
		c.Close()
		s, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		from := s.RemoteAddr().String()
		got, err := io.ReadAll(s)
		s.Close()
		if err != nil {
			t.Error(err)
		}
		if want := "203.0.113.9:5555"; trusted && (from != want || string(got) != "rest") || !trusted && (from == want || string(got) != line+"rest") {
			t.Errorf("trusted %v: %s, %q", trusted, from, got)
		}
	}
}
