package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// An Error is what a proxy on the way had against it. Its text holds no
// credential.
type Error struct {
	Proxy  string // HOST:PORT
	Step   string // what failed: "dial", "tls"; "" where Status says it
	Status int    // of its answer to CONNECT, where it was not 2xx
	Target string // that was asked for, with Status
	User   bool   // it was shown a user and password
	Refuse bool   // it does not want us: trying again soon can't help
	Err    error
}

func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("proxy %s answered %d %s to CONNECT %s%s", e.Proxy, e.Status, http.StatusText(e.Status), e.Target, e.advice())
	}
	text := fmt.Sprintf("proxy %s", e.Proxy)
	if e.Step != "" {
		text += ": " + e.Step
	}
	return text + ": " + strings.TrimPrefix(e.Err.Error(), e.Step+": ")
}

func (e *Error) Unwrap() error { return e.Err }

// Refused reports whether the proxy does not let this client through, by its
// credential or a rule.
func (e *Error) Refused() bool {
	return e.Refuse || e.Status == http.StatusProxyAuthRequired || e.Status == http.StatusForbidden ||
		e.Status == http.StatusUnauthorized || e.Status == http.StatusMethodNotAllowed
}

func (e *Error) advice() string {
	switch e.Status {
	case http.StatusProxyAuthRequired, http.StatusUnauthorized:
		if e.User {
			return ": it does not take the user and password that --proxy has"
		}
		return ": it asks for a user and password; give --proxy http://USER:PASSWORD@" + e.Proxy + ", from a @FILE"
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		return ": its rules forbid it; ask for the server to be allowed there, often only port 443 is"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ": it does not reach the server"
	}
	return ""
}

// socksError says what a SOCKS proxy had against it. The library has no types for
// that, only texts.
func socksError(through *url.URL, addr string, unreached bool, err error) *Error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	e := &Error{Proxy: through.Host, Step: "reach " + addr, Err: err}
	text := err.Error()
	switch {
	case unreached:
		e.Step = "dial"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Step = "wait for its answer"
	case strings.Contains(text, "authentication"):
		e.Refuse = true
		e.Err = fmt.Errorf("%w; give --proxy socks5://USER:PASSWORD@%s, from a @FILE", err, through.Host)
	case strings.Contains(text, "not allowed"):
		e.Refuse = true
	case strings.Contains(text, "unexpected protocol version"):
		e.Err = errors.New("it does not speak SOCKS5; is it an http proxy?")
	}
	return e
}

// Advice says what to set where TLS with a server failed, "" where it does not
// know.
func Advice(err error) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		if known, err := x509.SystemCertPool(); err == nil && known.Equal(x509.NewCertPool()) {
			return "this machine has no list of authorities (on Debian and Alpine it is the package ca-certificates); --ca FILE names the one that it comes from"
		}
		return "--ca FILE names the authority that it comes from, if that is your own; something between may also read along"
	case errors.As(err, &name):
		return "--server-name NAME says which name is meant"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has ended or not begun, or the clock of this machine is wrong"
	case errors.As(err, &record):
		return "what answers there speaks no TLS: is it ws:// and not wss://?"
	case isAlert(err, "certificate required"), isAlert(err, "bad certificate"), isAlert(err, "unknown certificate"):
		return "it wants a certificate of this client: --tls-cert and --tls-key"
	}
	return ""
}

// isAlert reports whether the peer sent an alert, for which the library has no
// type that others know.
func isAlert(err error, text string) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), text)
}
