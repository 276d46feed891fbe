package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// issued returns a certificate that holds from and until so long after noon, with
// its authority where whole.
func issued(t *testing.T, a *enginetest.Authority, from, until time.Duration, whole bool, names ...string) Pair {
	t.Helper()
	c := a.Issue(&x509.Certificate{NotBefore: noon.Add(from), NotAfter: noon.Add(until), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, names...)
	p := Pair{File: "edge.pem"}
	for i, der := range c.Certificate {
		one, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 || whole {
			p.Chain = append(p.Chain, one)
		}
	}
	return p
}

func TestCertificates(t *testing.T) {
	a := enginetest.NewAuthority(t)
	for name, c := range map[string]struct {
		pair Pair
		want want
	}{
		"sound":      {issued(t, a, -day, 90*day, false, "a.example"), want{OK, "for a.example fits its key and holds until 2031-07-30", "", ""}},
		"a month":    {issued(t, a, -day, 29*day, false, "a.example"), want{Note, "expires in 29 days", "new one", "tls-cert"}},
		"a week":     {issued(t, a, -day, 7*day, false, "a.example"), want{Warning, "expires in 7 days", "new one", "tls-cert"}},
		"over":       {issued(t, a, -day, -time.Hour, false, "a.example"), want{Failure, "expired on 2031-05-01 11:00 UTC", "new one", "tls-cert"}},
		"not yet":    {issued(t, a, day, 9*day, false, "a.example"), want{Failure, "not valid before 2031-05-02 12:00 UTC, and the clock here says 2031-05-01", "timedatectl", "tls-cert"}},
		"no chain":   {issued(t, a, -day, 90*day, false, "a.example"), want{Warning, "has no chain", "fullchain.pem", "tls-cert"}},
		"doubt":      {Pair{File: "edge.pem", Chain: issued(t, a, -day, 90*day, false, "a.example").Chain, Doubt: []string{"everybody can read the key"}}, want{Warning, "everybody can read the key", "", "tls-cert"}},
		"unreadable": {Pair{File: "edge.pem", Err: errors.New("no pair")}, want{Failure, "no pair", "", "tls-key"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := secured()
			s.Pairs = []Pair{c.pair}
			all := examine(t, s, sound(nil))
			for i := range all {
				if all[i].Change == "" && all[i].Means == "" {
					all[i].Means = "a doubt of package certs says all in one"
				}
			}
			c.want.check(t, "certificate", all)
		})
	}
}

func TestCertificatesForTheDomain(t *testing.T) {
	a := enginetest.NewAuthority(t)
	s := secured()
	s.Domain = "tunnels.example"
	s.Pairs = []Pair{issued(t, a, -day, 90*day, false, "www.example")}
	(&want{Warning, "no certificate is for all names below tunnels.example", "--acme exposed", "tls-cert"}).check(t, "certificate", examine(t, s, sound(nil)))
	s.Pairs = append(s.Pairs, issued(t, a, -day, 90*day, false, "*.tunnels.example"))
	(&want{OK, "for all names below", "", ""}).check(t, "certificate", examine(t, s, sound(nil)))
	s.Pairs, s.ACME = s.Pairs[:1], &ACMEPlan{Exposed: true, Listen: ":443"}
	for _, f := range examine(t, s, sound(nil)) {
		if strings.Contains(f.Found, "no certificate is for") {
			t.Errorf("ACME gets one for each: %+v", f)
		}
	}
}

func TestACME(t *testing.T) {
	kept := issued(t, enginetest.NewAuthority(t), -80*day, 3*day, false, "a.example").Chain[0]
	for name, c := range map[string]struct {
		plan   ACMEPlan
		answer []netip.Addr
		want   want
	}{
		"at 443":  {ACMEPlan{Listen: ":443"}, nil, want{OK, "port 443", "", ""}},
		"at 80":   {ACMEPlan{Listen: ":8443", Plain: ":80"}, nil, want{OK, "port 80", "", ""}},
		"at none": {ACMEPlan{Listen: ":8443", Plain: ":8080"}, nil, want{Warning, "neither at port 443 nor", "--listen :443", "listen-http"}},
		"unknown": {ACMEPlan{Listen: ":443", Names: []string{"a.example"}}, nil, want{Failure, "does not resolve", "a.example. A 203.0.113.7", "acme"}},
		"ours":    {ACMEPlan{Listen: ":443", Names: []string{"a.example"}}, addresses("203.0.113.7"), want{OK, "which is this machine", "", ""}},
		"another": {ACMEPlan{Listen: ":443", Names: []string{"a.example"}}, addresses("192.0.2.1"), want{Note, "192.0.2.1, which is no address of this machine", "203.0.113.7", "acme"}},
		"ends": {ACMEPlan{Listen: ":443", Kept: map[string]*x509.Certificate{"a.example": kept}}, nil,
			want{Warning, "were not renewed: a.example in 3 days", "log", "acme"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, m := secured(), sound(nil)
			s.ACME = &c.plan
			s.Domain = "" // its own question is another test
			answer := c.answer
			m.Resolve = func(context.Context, string) ([]netip.Addr, error) {
				if answer == nil {
					return nil, &net.DNSError{IsNotFound: true}
				}
				return answer, nil
			}
			c.want.check(t, "acme", examine(t, s, m))
		})
	}
}

func TestRunningServer(t *testing.T) {
	refused := func(ago time.Duration, peer string) engine.Event {
		return engine.Event{Kind: engine.KindAdmissionRefused, Time: noon.Add(-ago), Peer: peer, Reason: "wrong credential\x1b"}
	}
	often := func(e engine.Event, n int) engine.Event { e.Count = n; return e }
	for name, c := range map[string]struct {
		running Running
		want    want
	}{
		"sound":     {Running{Snapshot: engine.Snapshot{Name: "edge", Version: "1.2.3"}}, want{OK, "server edge, version 1.2.3, 0 connections of 0 clients, 0 requests since", "", ""}},
		"one":       {Running{Snapshot: engine.Snapshot{Totals: engine.Totals{Requests: 1}}}, want{OK, ", 1 request since", "", ""}},
		"older":     {Running{Socket: "/run/x.sock", Snapshot: engine.Snapshot{Version: "1.2.2"}}, want{Note, "it runs version 1.2.2, and this binary is 1.2.3", "adit restart --addr /run/x.sock", ""}},
		"draining":  {Running{Snapshot: engine.Snapshot{Draining: true}}, want{Warning, "about to end", "", ""}},
		"other":     {Running{Other: []string{"ping"}}, want{Note, "other settings than these: ping", "adit reload", "ping"}},
		"suspended": {Running{Problem: "disk full: make room"}, want{Warning, "nothing is written to its history: disk full", "", "store"}},
		"lost":      {Running{Lost: 3}, want{Note, "too slow for 3 records", "", ""}},
		"limits": {Running{Snapshot: engine.Snapshot{Limits: []engine.LimitCount{{Name: "memory"}, {Name: "handshake-rate", Count: 7}}}},
			want{Note, "since its start: handshake-rate 7 times", "kind:limit_reached", "handshake-rate"}},
		"refusals": {Running{Events: []engine.Event{refused(0, "192.0.2.1:5"), refused(time.Minute, "192.0.2.1:6"), often(refused(0, "192.0.2.2:5"), 500), refused(2*time.Hour, "192.0.2.3:5")}},
			want{Note, "refused 502 times within the last hour, most often (500) 192.0.2.2: wrong credential ", "kind:admission_refused", "secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := secured()
			s.Version, s.Running = "1.2.3", &c.running
			if c.running.Snapshot.Version == "" {
				c.running.Snapshot.Version = "1.2.3"
			}
			all := examine(t, s, sound(nil))
			c.want.check(t, "running", all)
			if c.want.severity == OK && Worst(all) != OK {
				t.Errorf("it finds fault:\n%s", show(all))
			}
		})
	}
}

// A certificate that was put in its place and not taken is found the day it ends,
// if nobody looks.
func TestCertificateThatWasNotTaken(t *testing.T) {
	a := enginetest.NewAuthority(t)
	shown := a.Server("edge.example")
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{shown}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	defer func() { ln.Close(); <-done }()
	s := secured()
	s.Running = &Running{Socket: "/run/x.sock", Snapshot: engine.Snapshot{Listen: []string{ln.Addr().String()}}}
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	m := sound(nil)
	m.Now = time.Now
	s.Pairs = []Pair{{File: "edge.pem", Chain: []*x509.Certificate{leaf}}}
	(&want{OK, "it shows the certificate that stands in edge.pem", "", ""}).check(t, "certificate", examine(t, s, m))
	s.Pairs = []Pair{issued(t, a, -day, 90*day, false, "edge.example")}
	all := examine(t, s, m)
	(&want{Warning, "it shows another certificate than stands in edge.pem", "adit reload --addr /run/x.sock", "tls-cert"}).check(t, "certificate", all)
	ln.Close()
	all = examine(t, s, m)
	if !slices.ContainsFunc(all, func(f Finding) bool { return strings.Contains(f.Found, "gives no certificate") }) {
		t.Errorf("a listener that is gone:\n%s", show(all))
	}
	// One behind a load balancer may wait for the header of that.
	s.Fronted = true
	if all = examine(t, s, m); slices.ContainsFunc(all, func(f Finding) bool { return strings.Contains(f.Found, "gives no certificate") }) {
		t.Errorf("behind a load balancer:\n%s", show(all))
	}
}
