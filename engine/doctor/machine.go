package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// ThisMachine answers for the machine and the user that doctor runs on and as.
func ThisMachine() *Machine {
	m := &Machine{
		Listen: func(ctx context.Context, address string) error {
			var c net.ListenConfig
			ln, err := c.Listen(ctx, "tcp", address)
			if err == nil {
				err = ln.Close()
			}
			return err
		},
		Resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		Holder: holder, Addresses: ownAddresses, OpenFiles: openFiles, ReadFile: readSmall,
		Disk: diskOf, Place: placeOf, Synchronised: synchronised,
		Root: os.Geteuid() == 0, User: "user " + strconv.Itoa(os.Geteuid()), Now: time.Now,
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		m.User = u.Username
	}
	return m
}

// readSmall reads a file of the kernel, of at most 64 KiB.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

func ownAddresses() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own
}

// placeOf looks at a path without changing anything.
func placeOf(path string) Place {
	p := Place{}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	info, err := os.Stat(path)
	if err == nil {
		p.Exists, p.Directory, p.Near = true, info.IsDir(), filepath.Dir(path)
		p.Odd = !info.IsDir() && !info.Mode().IsRegular()
		p.Owner, p.Ours = ownerOf(info)
		p.Writable = errors.Join(mayWrite(path), mayWrite(p.Near))
		return p
	}
	for p.Near = filepath.Dir(path); ; p.Near = filepath.Dir(p.Near) {
		info, err := os.Stat(p.Near)
		switch {
		case err == nil && !info.IsDir():
			p.Writable = errors.New("a file stands where a directory should be")
			return p
		case err == nil:
			p.Writable = mayWrite(p.Near)
			return p
		case errors.Is(err, os.ErrPermission), p.Near == filepath.Dir(p.Near):
			p.Writable = err
			return p
		}
	}
}

// bounded cuts a text that others had a part in, and leaves nothing in it that a
// terminal obeys.
func bounded(text string) string {
	return engine.Bound(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, text))
}
