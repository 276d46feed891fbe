// Package script has what people type run as testscript tells it, and beside its
// commands those that a tunnel needs.
package script

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Patience bounds every wait of a script.
const Patience = 15 * time.Second

// Params returns how to run the scripts of a directory, which have lines of a page
// of Markdown typed. Beside the commands of testscript there are:
//
//	exits CODE PROGRAM [ARG]...   run it; it must end with this exit code
//	start NAME PROGRAM [ARG]...   run it beside, its output in NAME.out and NAME.err
//	await NAME REGEXP [VARIABLE]  wait until NAME.out (or NAME.err as NAME) matches; keep the first group
//	prints [-as VARIABLE] REGEXP PROGRAM [ARG]...
//	                              run it until its output matches; keep the first group
//	cert CERT KEY                 write a certificate for 127.0.0.1
//	end NAME SIGNAL CODE          send INT, TERM, HUP, KILL or none, wait, check the exit code
//	httpget [-x URL] [-H FIELD]... [-until] STATUS URL
//	                              the content goes to the file "content"; -until asks again until STATUS comes
//	hang HOST URL                 ask, and hold on to the answer until the script ends
//	tcpecho ADDRESS TEXT          send a line, read it back
//	expand FILE...                put the values of $VARIABLES into files
//	free VARIABLE...              have free ports
//	given FROM TO                 what typed puts in place of what the page has
//	tells FILE TEXT               the file (stdout and stderr too) has this text, to the letter
//	typed [-any | -start NAME] WORDS
//	                              have a shell run the only command line of the page that begins with WORDS,
//	                              whatever its exit code, or start it
//
// and the variables ORIGIN (URL of an HTTP server), ECHO (address of a TCP
// echo), PORT (a free one) and TOKEN (a credential).
func Params(dir, page string) testscript.Params {
	return testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"start":   start,
			"await":   await,
			"prints":  prints,
			"cert":    cert,
			"end":     end,
			"httpget": httpget,
			"hang":    hang,
			"tcpecho": tcpecho,
			"expand":  expand,
			"free":    free,
			"given":   given,
			"tells":   tells,
			"typed":   func(ts *testscript.TestScript, neg bool, args []string) { typed(ts, neg, page, args) },
		},
	}
}

type procsKey struct{}

// processes are the programs that a script runs beside itself, by name.
type processes map[string]*proc

type proc struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

func setup(e *testscript.Env) error {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/hello", http.StatusFound)
		case "/slow":
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			fmt.Fprintf(w, "origin saw %s %s for %s", r.Method, r.URL.Path, r.Host)
			for _, name := range []string{"Authorization", "Proxy-Authorization", "X-Secret-Key"} {
				if v := r.Header.Get(name); v != "" {
					fmt.Fprintf(w, " with %s %s", name, v)
				}
			}
		}
	}))
	e.Defer(origin.Close)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.Defer(func() { echo.Close() })
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	// Sockets have short paths.
	place, err := os.MkdirTemp("", "adit")
	if err != nil {
		return err
	}
	e.Defer(func() { os.RemoveAll(place) })
	e.Setenv("HOME", place)
	e.Setenv("XDG_RUNTIME_DIR", filepath.Join(place, "run"))
	e.Setenv("XDG_STATE_HOME", filepath.Join(place, "state"))
	e.Setenv("ORIGIN", origin.URL)
	e.Setenv("ECHO", echo.Addr().String())
	e.Setenv("PORT", port)
	e.Setenv("TOKEN", rand.Text())
	e.Values[givenKey{}] = new([]string)
	all := processes{}
	e.Values[procsKey{}] = all
	e.Defer(func() {
		for _, p := range all {
			p.cmd.Process.Kill()
			<-p.done
		}
	})
	return nil
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG]...")
	}
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("exit code %d, want %s", got, want)
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM [ARG]...")
	}
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	report, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer report.Close()
	p := &proc{cmd: exec.Command(args[1], args[2:]...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), out, report
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "ADIT_EVENTS", "ADIT_LISTEN"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	ts.Check(p.cmd.Start())
	ts.Value(procsKey{}).(processes)[args[0]] = p
	go func() {
		defer close(p.done)
		p.cmd.Wait()
	}()
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await NAME[.err] REGEXP [VARIABLE]")
	}
	name, isErr := strings.CutSuffix(args[0], ".err")
	stream := name + ".out"
	if isErr {
		stream = args[0]
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	p := ts.Value(procsKey{}).(processes)[name]
	if p == nil {
		ts.Fatalf("no %s was started", name)
	}
	eventually(ts, func(last bool) error {
		// Ended first, read then: what it wrote at its end counts.
		ended := isClosed(p.done)
		found := pattern.FindStringSubmatch(ts.ReadFile(stream))
		switch {
		case found != nil && len(args) == 3 && len(found) > 1:
			ts.Setenv(args[2], found[1])
			return nil
		case found != nil:
			return nil
		case ended || last:
			ts.Fatalf("%s never printed %s\nstdout:\n%s\nstderr:\n%s", args[0], args[1],
				ts.ReadFile(name+".out"), ts.ReadFile(name+".err"))
		}
		return errors.New("not yet")
	})
}

func prints(ts *testscript.TestScript, neg bool, args []string) {
	variable := ""
	if args[0] == "-as" {
		variable, args = args[1], args[2:]
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	eventually(ts, func(last bool) error {
		ts.Check(ts.Exec(args[1], args[2:]...))
		found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
		switch {
		case found == nil && last:
			ts.Fatalf("%v never printed %s", args[1:], args[0])
		case found == nil:
			return errors.New("not yet")
		case variable != "" && len(found) > 1:
			ts.Setenv(variable, found[1])
		}
		return nil
	})
}

// cert writes a certificate that vouches for itself.
func cert(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "adit.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: secret}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), pem.EncodeToMemory(block), 0o600))
	}
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: end NAME SIGNAL CODE")
	}
	p := ts.Value(procsKey{}).(processes)[args[0]]
	if p == nil {
		ts.Fatalf("no %s was started", args[0])
	}
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	if signal, ok := signals[args[1]]; ok {
		ts.Check(p.cmd.Process.Signal(signal))
	} else if args[1] != "none" {
		ts.Fatalf("signal %s is unknown", args[1])
	}
	if args[2] == "-" {
		return
	}
	select {
	case <-p.done:
	case <-time.After(Patience):
		ts.Fatalf("%s did not end\nstderr:\n%s", args[0], ts.ReadFile(args[0]+".err"))
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("%s ended with exit code %s, want %s\nstderr:\n%s", args[0], got, args[2], ts.ReadFile(args[0]+".err"))
	}
}

func httpget(ts *testscript.TestScript, neg bool, args []string) {
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{
		Transport:     transport,
		Timeout:       Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	fields, until := http.Header{}, false
	for len(args) > 2 {
		switch {
		case args[0] == "-until":
			until, args = true, args[1:]
		case args[0] == "-x" && len(args) > 3:
			proxy, err := url.Parse(args[1])
			ts.Check(err)
			transport.Proxy = http.ProxyURL(proxy)
			args = args[2:]
		case args[0] == "-H" && len(args) > 3:
			name, value, _ := strings.Cut(args[1], ":")
			fields.Set(name, strings.TrimSpace(value))
			args = args[2:]
		default:
			ts.Fatalf("unknown argument %s", args[0])
		}
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: httpget [-x URL] [-H FIELD]... [-until] STATUS URL")
	}
	once := func() error {
		r, err := http.NewRequest(http.MethodGet, args[1], nil)
		if err != nil {
			return err
		}
		r.Header = fields.Clone()
		if host := r.Header.Get("Host"); host != "" {
			r.Host = host
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		ts.Check(os.WriteFile(ts.MkAbs("content"), content, 0o600))
		if got := strconv.Itoa(resp.StatusCode); got != args[0] {
			return fmt.Errorf("status %s, want %s: %s", got, args[0], content)
		}
		return nil
	}
	if !until {
		ts.Check(once())
	} else {
		eventually(ts, func(bool) error { return once() })
	}
}

func hang(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hang HOST URL")
	}
	r, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	r.Host = args[0]
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	ts.Check(err)
	ts.Defer(func() { resp.Body.Close() })
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func tcpecho(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tcpecho ADDRESS TEXT")
	}
	c, err := net.DialTimeout("tcp", args[0], Patience)
	ts.Check(err)
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(Patience)))
	sent := []byte(args[1] + "\n")
	_, err = c.Write(sent)
	ts.Check(err)
	got := make([]byte, len(sent))
	_, err = io.ReadFull(c, got)
	ts.Check(err)
	if !bytes.Equal(got, sent) {
		ts.Fatalf("echo of %q is %q", sent, got)
	}
}

// eventually calls try every few milliseconds until it returns nil; the last
// time it says so.
func eventually(ts *testscript.TestScript, try func(last bool) error) {
	deadline := time.After(Patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if try(false) == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Check(try(true))
			return
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
