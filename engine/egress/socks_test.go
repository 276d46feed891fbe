package egress

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// startSOCKS serves one SOCKS5 connection at a time, by the bytes of RFC 1928: it
// wants user and password where they are not "", answers with reply and echoes.
func startSOCKS(t *testing.T, user, password string, reply byte) (addr string, asked func() string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var target string
	var work sync.WaitGroup
	serve := func(c net.Conn) {
		defer c.Close()
		read := func(n int) []byte {
			b := make([]byte, n)
			if _, err := io.ReadFull(c, b); err != nil {
				return make([]byte, n)
			}
			return b
		}
		methods := read(int(read(2)[1]))
		if user == "" {
			c.Write([]byte{5, 0})
		} else if !bytes.Contains(methods, []byte{2}) {
			c.Write([]byte{5, 0xff})
			return
		} else {
			c.Write([]byte{5, 2})
			u := read(int(read(2)[1]))
			p := read(int(read(1)[0]))
			if string(u) != user || string(p) != password {
				c.Write([]byte{1, 1})
				return
			}
			c.Write([]byte{1, 0})
		}
		head := read(4)
		if head[3] == 3 {
			host := string(read(int(read(1)[0])))
			port := read(2)
			mu.Lock()
			target = host + ":" + string(port)
			mu.Unlock()
		}
		c.Write([]byte{5, reply, 0, 1, 127, 0, 0, 1, 0, 0})
		if reply == 0 {
			io.Copy(c, c)
		}
	}
	work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); work.Wait() })
	return ln.Addr().String(), func() string { mu.Lock(); defer mu.Unlock(); return target }
}

// The name goes to the proxy: a private network's names resolve there only.
func TestStreamThroughSOCKS(t *testing.T) {
	for _, scheme := range []string{"socks5", "socks5h"} {
		for _, user := range []string{"", "alice:sesame@"} {
			name, password := "", ""
			if user != "" {
				name, password = "alice", "sesame"
			}
			addr, asked := startSOCKS(t, name, password, 0)
			c, err := dial(t, dialer(t, Options{Proxy: scheme + "://" + user + addr}))
			if err != nil {
				t.Fatal(err)
			}
			if _, tcp := c.(*net.TCPConn); !tcp {
				t.Errorf("a %T stands in the way of the system calls of TCP", c)
			}
			io.WriteString(c, "hello")
			got := make([]byte, 5)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
			if asked() != "server.example:\x01\xbb" {
				t.Errorf("asked for %q", asked())
			}
		}
	}
}

func TestSOCKSThatSaysNo(t *testing.T) {
	for name, tt := range map[string]struct {
		user, given string
		reply       byte
		want        string
		refused     bool
	}{
		"wants a user":       {"alice", "", 0, "give --proxy socks5://USER:PASSWORD@", true},
		"wants another user": {"alice", "bob:opensesame@", 0, "authentication failed", true},
		"forbids":            {"", "", 2, "not allowed", true},
		"host unreachable":   {"", "", 4, "host unreachable", false},
		"refused":            {"", "", 5, "connection refused", false},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := startSOCKS(t, tt.user, "sesame", tt.reply)
			_, err := dial(t, dialer(t, Options{Proxy: "socks5://" + tt.given + addr}))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || e.Refused() != tt.refused {
				t.Fatalf("error %v (refused %v), want %q", err, e != nil && e.Refused(), tt.want)
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestHTTPProxyTakenForSOCKS(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			c.Close()
		}
	}()
	if _, err := dial(t, dialer(t, Options{Proxy: "socks5://" + ln.Addr().String()})); err == nil || !strings.Contains(err.Error(), "is it an http proxy?") {
		t.Errorf("error %v", err)
	}
}
