package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
)

// maxAnswer bounds the head of a proxy's answer, in bytes.
const maxAnswer = 16 << 10

// connect reaches addr by CONNECT (RFC 9110 §9.3.6) through an http or https
// proxy.
func (d *Dialer) connect(ctx context.Context, through *url.URL, addr string) (net.Conn, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", through.Host)
	if err != nil {
		return nil, &Error{Proxy: through.Host, Step: "dial", Err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	done, err := d.ask(ctx, c, through, addr)
	if !stop() && err == nil {
		err = &Error{Proxy: through.Host, Step: "wait for its answer", Err: ctx.Err()}
	}
	if err != nil {
		_ = c.Close()
		var own *Error
		if errors.As(err, &own) && ctx.Err() != nil {
			own.Err = ctx.Err() // closing the connection was our own doing
		}
		return nil, err
	}
	return done, nil
}

// ask sends CONNECT on c and reads the answer; the end of ctx closes c.
func (d *Dialer) ask(ctx context.Context, c net.Conn, through *url.URL, addr string) (net.Conn, error) {
	if through.Scheme == "https" {
		// The proxy is judged like a server, but by its own name, and is shown
		// nothing: the certificate is for the server.
		secure := tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.files.Load().roots,
			ServerName: through.Hostname(), NextProtos: []string{"http/1.1"}})
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, &Error{Proxy: through.Host, Step: "tls", Err: err}
		}
		c = secure
	}
	if _, err := c.Write(request(through, addr)); err != nil {
		return nil, &Error{Proxy: through.Host, Step: "ask it", Err: err}
	}
	limited := &io.LimitedReader{R: c, N: maxAnswer}
	// Small: what it reads beyond the head is the server's, and copied once more.
	r := bufio.NewReaderSize(limited, 512)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, &Error{Proxy: through.Host, Step: "read its answer", Err: answerError(err, limited)}
	}
	if resp.StatusCode < 100 {
		return nil, &Error{Proxy: through.Host, Step: "read its answer", Err: errNoHTTP}
	}
	if resp.StatusCode/100 != 2 {
		return nil, &Error{Proxy: through.Host, Status: resp.StatusCode, Target: addr, User: through.User != nil}
	}
	if n := r.Buffered(); n > 0 {
		early, _ := r.Peek(n)
		return &ahead{Conn: c, early: append([]byte(nil), early...)}, nil
	}
	return c, nil
}

var errNoHTTP = errors.New("it is no HTTP")

// answerError leaves out what the proxy sent: it may be long, and is whatever it
// likes.
func answerError(err error, limited *io.LimitedReader) error {
	var network net.Error
	switch {
	case limited.N <= 0:
		return errors.New("it is too long")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the connection was closed before")
	case errors.As(err, &network):
		return err
	}
	return errNoHTTP
}

// request returns the head of a CONNECT to addr.
func request(through *url.URL, addr string) []byte {
	head := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if u := through.User; u != nil {
		password, _ := u.Password()
		head += "Proxy-Authorization: Basic " +
			base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	return []byte(head + "\r\n")
}

// An ahead is a connection of which a few bytes were read already.
type ahead struct {
	net.Conn
	early []byte
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(a.early) > 0 {
		n := copy(p, a.early)
		a.early = a.early[n:]
		return n, nil
	}
	return a.Conn.Read(p)
}
