package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Curl is curl where a machine has one. Where not, it is as much of it as the
// lines need that are typed: one GET, -x, -H, -s, -N, -o and --unix-socket. It
// returns the exit code.
func Curl() int {
	err := curl(os.Args[1:])
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 1
	}
	return 0
}

func curl(args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	own, err := os.Stat(self)
	if err != nil {
		return err
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		name, err := exec.LookPath(filepath.Join(dir, "curl"))
		if err != nil {
			continue
		}
		// This program is called curl too while tests run.
		if found, err := os.Stat(name); err != nil || os.SameFile(found, own) || found.Size() == own.Size() {
			continue
		}
		cmd := exec.Command(name, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd.Run()
	}
	return get(args, os.Stdout)
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
