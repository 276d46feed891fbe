// Package limit counts and paces: how many at once, how many a second, how many
// bytes a second, each for any number of keys within bounded memory. It knows
// nothing of HTTP, starts no goroutine and never waits: it says how long to.
//
// What is allowed is handed over at every call, so that it may change while
// things run.
package limit

import (
	"encoding/binary"
	"net/netip"
)

// A Key is whom something is counted for: an IPv4 address, or the /64 of an IPv6
// one, all of which one host may have. The zero Key is that of no address.
type Key struct{ high, low uint64 }

// mapped is where IPv4 addresses stand among IPv6 ones (RFC 4291 §2.5.5.2).
const mapped = 0xffff << 32

// KeyOf returns the key of an address. An IPv4 address is the same in IPv6 clothes.
func KeyOf(a netip.Addr) Key {
	a = a.Unmap()
	switch {
	case a.Is4():
		v4 := a.As4()
		return Key{low: mapped | uint64(binary.BigEndian.Uint32(v4[:]))}
	case a.Is6():
		v6 := a.As16()
		return Key{high: binary.BigEndian.Uint64(v6[:8]), low: 1}
	}
	return Key{}
}

// String returns "192.0.2.1" or "2001:db8::/64", "" for no address.
func (k Key) String() string {
	switch {
	case k == Key{}:
		return ""
	case k.low != 1:
		var v4 [4]byte
		binary.BigEndian.PutUint32(v4[:], uint32(k.low))
		return netip.AddrFrom4(v4).String()
	}
	var v6 [16]byte
	binary.BigEndian.PutUint64(v6[:8], k.high)
	return netip.PrefixFrom(netip.AddrFrom16(v6), 64).String()
}

// network returns the key without what the holder of a network may choose: the
// /24 of an IPv4 address, the /48 of an IPv6 one.
func (k Key) network() Key {
	if k.low != 1 {
		k.low &^= 0xff
		return k
	}
	k.high &^= 0xffff
	return k
}
