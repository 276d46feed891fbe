package policy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"adit/engine"
)

// A Dialer resolves, checks every address against the rules of the permit and
// dials the address that it checked, never the name. Cloud metadata and
// link-local addresses are denied unless a rule names them.
type Dialer struct {
	Resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	} // nil: net.DefaultResolver
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer, 10 s
}

const (
	stepTimeout  = 10 * time.Second // of the lookup, and of each address tried
	leastAttempt = 2 * time.Second  // an address gets this much while ctx lasts
	maxAddresses = 8                // tried of those that a name resolves to
)

var (
	errNoAddress  = errors.New("no address of it is allowed")
	errUnresolved = errors.New("the name has no address")
)

// DialContext dials host:port under permit: the addresses allowed are tried one
// after the other, at most 8 of them, IPv6 and IPv4 in turn, each for at most
// 10 s and within ctx. The error is an *engine.Error with ReasonDenied,
// ReasonOriginFailed, ReasonTimedOut, or ReasonCallerGone where ctx was
// cancelled; its text names host:port and the cause, no other address.
func (d *Dialer) DialContext(ctx context.Context, permit Permit, addr string) (net.Conn, error) {
	op := "dial " + engine.Bound(addr)
	dest, ok := parseDestination(addr)
	if !ok || permit.plan == nil {
		return nil, fail(op, engine.ReasonDenied, textBadHost)
	}
	addresses := []netip.Addr{dest.address}
	if !dest.isAddress {
		var err error
		if addresses, err = d.lookup(ctx, dest.name); err != nil {
			return nil, dialError(ctx, op, err)
		}
		if len(addresses) == 0 {
			return nil, engine.Fail(op, engine.ReasonOriginFailed, errUnresolved)
		}
	}
	addresses = allowed(addresses, dest.port, permit)
	if len(addresses) == 0 {
		return nil, engine.Fail(op, engine.ReasonDenied, errNoAddress)
	}
	var first error
	for i, a := range addresses {
		c, err := d.dial(ctx, netip.AddrPortFrom(a, dest.port), len(addresses)-i)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, dialError(ctx, op, first)
}

func (d *Dialer) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if d.Resolver != nil {
		return d.Resolver.LookupNetIP(ctx, "ip", name)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// allowed returns the addresses that may be dialled, families in turn, that of
// the first one first.
func allowed(resolved []netip.Addr, port uint16, permit Permit) []netip.Addr {
	var families [2][]netip.Addr
	for _, a := range resolved {
		if !permit.Allows(a, port) {
			continue
		}
		a = plain(a)
		family := 0
		if len(families[0]) > 0 && families[0][0].Is4() != a.Is4() {
			family = 1
		}
		families[family] = append(families[family], a)
	}
	turns := make([]netip.Addr, 0, maxAddresses)
	for i := 0; i < max(len(families[0]), len(families[1])); i++ {
		for _, family := range families {
			if i < len(family) && len(turns) < maxAddresses {
				turns = append(turns, family[i])
			}
		}
	}
	return turns
}

// dial tries one address; left counts those still to be tried, this one
// included, and what remains of ctx is shared among them.
func (d *Dialer) dial(ctx context.Context, to netip.AddrPort, left int) (net.Conn, error) {
	timeout := stepTimeout
	if deadline, ok := ctx.Deadline(); ok {
		share := max(time.Until(deadline)/time.Duration(left), leastAttempt)
		timeout = min(timeout, share)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if d.Dial != nil {
		return d.Dial(ctx, "tcp", to.String())
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", to.String())
}

// dialError gives a failed lookup or dial its reason, without the addresses
// that the standard library puts into the text.
func dialError(ctx context.Context, op string, err error) error {
	reason := engine.ReasonOriginFailed
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return engine.Fail(op, engine.ReasonCallerGone, context.Canceled)
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return engine.Fail(op, engine.ReasonTimedOut, context.DeadlineExceeded)
	}
	var dns *net.DNSError
	var network *net.OpError
	switch {
	case errors.As(err, &dns):
		err = errors.New(dns.Err)
	case errors.As(err, &network):
		err = network.Err
	}
	return engine.Fail(op, reason, err)
}
