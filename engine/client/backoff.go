package client

import (
	"errors"
	"net/http"
	"time"

	"adit/engine"
	"adit/engine/egress"
	"adit/engine/tunnel"
)

const (
	backoffBase   = 500 * time.Millisecond
	backoffCap    = 30 * time.Second
	healthyAfter  = time.Minute           // of a connection: the next failure is the first again
	restartJitter = 50 * time.Millisecond // before the dial after a close 1012: the server spreads those out
	restartLived  = time.Second           // a connection that lived less is no restarted server's
	restartDials  = 3                     // that find the former process, which stops to accept at that moment
	eagerWait     = 3 * time.Second       // after a new credential was refused: servers may hear of it a moment later
	eagerDials    = 3                     // so soon
	maxRetryAfter = time.Hour             // what a server may ask for
	statusWSPAuth = 526                   // wsp's answer to a wrong secret
)

// A failure is why there is no connection, or none any more.
type failure struct {
	err        error
	code       engine.CloseCode // of a connection that was there, or of the greeting's refusal
	refused    bool             // a credential, a rule, an id: trying again soon can't help
	retryAfter time.Duration
	lost       bool          // there was a connection
	lived      time.Duration // it
	spent      bool          // it was of wsp and had served: any doubt about an exchange costs its connection there
}

// dialFailure reads an error of tunnel.Dial.
func dialFailure(err error) failure {
	f := failure{err: err}
	var d *tunnel.DialError
	if errors.As(err, &d) {
		f.code, f.retryAfter = d.Code, d.RetryAfter
		switch d.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, statusWSPAuth:
			f.refused = true
		}
	}
	var proxy *egress.Error
	f.refused = f.refused || errors.As(err, &proxy) && proxy.Refused()
	f.refused = f.refused || refusal(f.code) || engine.ReasonOf(err) == engine.ReasonUnsupported
	return f
}

// lostFailure reads the end of a session.
func lostFailure(code engine.CloseCode, reason string, retryAfter, lived time.Duration) failure {
	return failure{
		err:  &closedError{code: code, reason: reason},
		code: code, refused: refusal(code), retryAfter: retryAfter, lost: true, lived: lived,
	}
}

func refusal(code engine.CloseCode) bool {
	return code == engine.ClosePolicy || code == engine.CloseBanned || code == engine.CloseIDTaken
}

// phase is how a client with Once ends for f; connected says that the server
// was reached before.
func (f failure) phase(connected bool) Phase {
	switch {
	case f.refused:
		return PhaseRefused
	case f.lost, connected:
		return PhaseLost
	}
	return PhaseDial
}

// A backoff says how long to wait before the next dial to one server:
// exponential with full jitter, from backoffBase to backoffCap.
type backoff struct {
	random   func() float64
	failures int // since the last healthy connection
	restarts int // dials answered with 1012 since a connection that lived
	eager    int // refusals of a new credential that are to be tried again soon
}

// after returns the wait that f asks for.
func (b *backoff) after(f failure) time.Duration {
	if f.lived >= healthyAfter {
		b.failures = 0
	}
	if f.lived >= restartLived {
		b.restarts = 0
	}
	switch {
	case f.retryAfter > 0:
		// Those who were told the same do not come back at the same moment.
		wait := min(f.retryAfter, maxRetryAfter)
		return wait + b.jitter(min(wait/10, time.Second))
	case f.refused && b.eager > 0:
		b.eager--
		return eagerWait/2 + b.jitter(eagerWait/2)
	case f.refused:
		return backoffCap/2 + b.jitter(backoffCap/2)
	case f.code == engine.CloseRestart && (f.lived >= restartLived || !f.lost && b.restarts < restartDials):
		b.restarts++
		return b.jitter(restartJitter)
	}
	ceiling := backoffCap
	if b.failures < 6 {
		ceiling = min(backoffBase<<b.failures, backoffCap)
	}
	b.failures++
	return b.jitter(ceiling)
}

func (b *backoff) jitter(most time.Duration) time.Duration {
	return time.Duration(b.random() * float64(most))
}
