package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// permitOf returns the permit for a CONNECT to addr.
func permitOf(t testing.TB, r *policy.Rules, addr string) policy.Permit {
	t.Helper()
	permit, err := r.Check(query("CONNECT", "tcp://"+addr, addr))
	if err != nil {
		t.Fatal(err)
	}
	return permit
}

func TestDialTriesFamiliesInTurn(t *testing.T) {
	z := &zone{answers: map[string][][]string{"many.example": {{
		"2001:db8::1", "2001:db8::2", "2001:db8::3", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6",
	}}}}
	w := &wire{broken: map[string]error{"*": errRefused}}
	d := &policy.Dialer{Resolver: z, Dial: w.dial}
	_, err := d.DialContext(t.Context(), permitOf(t, rules(t, "any"), "many.example:80"), "many.example:80")
	want := "[2001:db8::1]:80 10.0.0.1:80 [2001:db8::2]:80 10.0.0.2:80 [2001:db8::3]:80 10.0.0.3:80 10.0.0.4:80 10.0.0.5:80"
	if got := strings.Join(w.dialed, " "); got != want {
		t.Errorf("dialled %s\nwant    %s", got, want)
	}
	if engine.ReasonOf(err) != engine.ReasonOriginFailed || !errors.Is(err, errRefused) {
		t.Errorf("%v, want origin failed with the cause", err)
	}
}

func TestDialGoesOnAfterARefusal(t *testing.T) {
	z := &zone{answers: map[string][][]string{"two.example": {{"10.0.0.1", "10.0.0.2"}}}}
	w := &wire{broken: map[string]error{"10.0.0.1:80": syscall.ECONNREFUSED}}
	d := &policy.Dialer{Resolver: z, Dial: w.dial}
	c, err := d.DialContext(t.Context(), permitOf(t, rules(t, "any"), "two.example:80"), "two.example:80")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if len(w.dialed) != 2 {
		t.Errorf("dialled %v, want two", w.dialed)
	}
}

func TestDialErrorsShowNoOtherAddress(t *testing.T) {
	z := &zone{answers: map[string][][]string{
		"refused.example": {{"10.99.0.1"}},
		"denied.example":  {{"169.254.169.254"}},
		"empty.example":   {{}},
	}}
	w := &wire{broken: map[string]error{"10.99.0.1:80": syscall.ECONNREFUSED}}
	d := &policy.Dialer{Resolver: z, Dial: w.dial}
	for addr, want := range map[string]struct {
		reason engine.Reason
		text   string
	}{
		"refused.example:80":   {engine.ReasonOriginFailed, "dial refused.example:80: connection refused"},
		"denied.example:80":    {engine.ReasonDenied, "dial denied.example:80: no address of it is allowed"},
		"empty.example:80":     {engine.ReasonOriginFailed, "dial empty.example:80: the name has no address"},
		"unknown.example:80":   {engine.ReasonOriginFailed, "dial unknown.example:80: no such host"},
		"169.254.169.254:80":   {engine.ReasonDenied, "dial 169.254.169.254:80: no address of it is allowed"},
		"nonsense":             {engine.ReasonDenied, "dial nonsense: the destination is not HOST:PORT"},
		"refused.example:http": {engine.ReasonDenied, "dial refused.example:http: the destination is not HOST:PORT"},
	} {
		_, err := d.DialContext(t.Context(), permitOf(t, rules(t, "any"), "any.example:80"), addr)
		if engine.ReasonOf(err) != want.reason || err.Error() != want.text {
			t.Errorf("%s: %v %q, want %v %q", addr, engine.ReasonOf(err), err, want.reason, want.text)
		}
	}
}

func TestPermitByAddressHoldsAtTheDial(t *testing.T) {
	r := rules(t, "10.0.0.0/8:80")
	z := &zone{answers: map[string][][]string{"api.example": {{"192.168.0.1", "10.0.0.1"}}}}
	w := &wire{}
	d := &policy.Dialer{Resolver: z, Dial: w.dial}
	permit, err := r.Check(query("GET", "http://api.example/", "api.example:80"))
	if err != nil || !permit.ByAddress() {
		t.Fatalf("%+v, %v: want a permit by address", permit, err)
	}
	c, err := d.DialContext(t.Context(), permit, "api.example:80")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if len(w.dialed) != 1 || w.dialed[0] != "10.0.0.1:80" {
		t.Errorf("dialled %v, want only what the rule allows", w.dialed)
	}
	if _, err := d.DialContext(t.Context(), permit, "api.example:81"); engine.ReasonOf(err) != engine.ReasonDenied {
		t.Errorf("another port than the rule's: %v, want denied", err)
	}
}

func TestDialWithoutPermitDialsNothing(t *testing.T) {
	w := &wire{}
	d := &policy.Dialer{Resolver: &zone{}, Dial: w.dial}
	if _, err := d.DialContext(t.Context(), policy.Permit{}, "127.0.0.1:80"); engine.ReasonOf(err) != engine.ReasonDenied || len(w.dialed) != 0 {
		t.Errorf("%v, dialled %v: want denied", err, w.dialed)
	}
}

// silent neither answers a lookup nor a dial before the context ends.
type silent struct{}

func (silent) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("lookup: %w", ctx.Err())
}

func silentDial(ctx context.Context, network, addr string) (net.Conn, error) {
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
}

func TestSilentResolverTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &policy.Dialer{Resolver: silent{}, Dial: silentDial}
		start := time.Now()
		_, err := d.DialContext(context.Background(), permitOf(t, rules(t, "any"), "a.example:80"), "a.example:80")
		if engine.ReasonOf(err) != engine.ReasonTimedOut || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v, want timed out after 10s", err, time.Since(start))
		}
	})
}

func TestSilentAddressLeavesTimeForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{answers: map[string][][]string{"a.example": {{"10.0.0.1", "10.0.0.2"}}}}
		w := &wire{}
		d := &policy.Dialer{Resolver: z, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "10.0.0.1:80" {
				return silentDial(ctx, network, addr)
			}
			return w.dial(ctx, network, addr)
		}}
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		start := time.Now()
		c, err := d.DialContext(ctx, permitOf(t, rules(t, "any"), "a.example:80"), "a.example:80")
		if err != nil || time.Since(start) != 4*time.Second {
			t.Fatalf("%v after %v, want a connection after half of 8s", err, time.Since(start))
		}
		c.Close()
	})
}

func TestDeadlineAndCancelOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &policy.Dialer{Resolver: silent{}, Dial: silentDial}
		for _, addr := range []string{"a.example:80", "10.0.0.1:80"} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if _, err := d.DialContext(ctx, permitOf(t, rules(t, "any"), addr), addr); engine.ReasonOf(err) != engine.ReasonTimedOut {
				t.Errorf("%s at the deadline: %v, want timed out", addr, err)
			}
			cancel()
			ctx, cancel = context.WithCancel(context.Background())
			time.AfterFunc(time.Second, cancel)
			if _, err := d.DialContext(ctx, permitOf(t, rules(t, "any"), addr), addr); engine.ReasonOf(err) != engine.ReasonCallerGone {
				t.Errorf("%s cancelled: %v, want caller gone", addr, err)
			}
		}
	})
}

func TestDefaultsDialLoopback(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := &policy.Dialer{}
	c, err := d.DialContext(t.Context(), permitOf(t, rules(t, "127.0.0.0/8"), ln.Addr().String()), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
