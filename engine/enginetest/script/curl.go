package script

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// standIn is the name of what Curl is the program of.
const standIn = "curl-stand-in"

// Programs returns what the lines that are typed need beside the program itself,
// by name: as much of curl as they use, for a machine that has none.
func Programs() map[string]func() int { return map[string]func() int{standIn: curl} }

// curl makes one GET with -x, -H, -s, -N, -o and --unix-socket, and returns the
// exit code.
func curl() int {
	if err := get(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 1
	}
	return 0
}

func get(args []string, out io.Writer) error {
	transport := &http.Transport{DisableKeepAlives: true}
	fields, target := http.Header{}, ""
	for len(args) > 0 {
		flag, value := args[0], ""
		args = args[1:]
		if !strings.HasPrefix(flag, "-") {
			target = flag
			continue
		}
		if flag == "-s" || flag == "-N" || flag == "-sN" {
			continue
		}
		if len(args) > 0 {
			value, args = args[0], args[1:]
		}
		switch flag {
		case "-H":
			name, text, _ := strings.Cut(value, ":")
			fields.Set(name, strings.TrimSpace(text))
		case "-x":
			proxy, err := url.Parse(value)
			if err != nil {
				return err
			}
			transport.Proxy = http.ProxyURL(proxy)
		case "--unix-socket":
			transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", value)
			}
		case "-o":
			f, err := os.Create(value)
			if err != nil {
				return err
			}
			defer f.Close()
			out = f
		default:
			return fmt.Errorf("%s is not known here", flag)
		}
	}
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	r.Header = fields
	if host := r.URL.Hostname(); transport.DialContext == nil && transport.Proxy == nil &&
		(host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		r.Host = r.URL.Host
		r.URL.Host = net.JoinHostPort("127.0.0.1", r.URL.Port())
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(out, resp.Body)
	return err
}
