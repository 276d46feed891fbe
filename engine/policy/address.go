package policy

import "net/netip"

// guardedBlocks lists what is denied unless an address rule names it: addresses
// at which clouds answer with credentials, and addresses that never are a
// service of their own. It is built for each [Rules] and never written to.
func guardedBlocks() []netip.Prefix {
	blocks := []string{
		"0.0.0.0/8",              // "this host" (RFC 1122 §3.2.1.3); Linux takes it for loopback
		"169.254.0.0/16",         // link-local (RFC 3927), metadata of most clouds
		"100.100.100.200/32",     // metadata, Alibaba
		"168.63.129.16/32",       // wire server, Azure
		"192.0.0.192/32",         // metadata, Oracle
		"224.0.0.0/4",            // multicast
		"255.255.255.255/32",     // broadcast
		"::/128",                 // unspecified
		"fe80::/10",              // link-local (RFC 4291 §2.5.6)
		"ff00::/8",               // multicast
		"fd00:ec2::/32",          // metadata and its neighbours, AWS
		"fd20:ce::254/128",       // metadata, Google
		"fd00:42::42/128",        // metadata, Scaleway
		"fd00:c1::a9fe:a9fe/128", // metadata, Oracle
	}
	prefixes := make([]netip.Prefix, len(blocks))
	for i, b := range blocks {
		prefixes[i] = netip.MustParsePrefix(b)
	}
	return prefixes
}

// Below these lengths a CIDR is a sweep, not a name: `0.0.0.0/0` does not name
// the metadata address, `169.254.0.0/16` does.
const (
	namingBits4 = 8
	namingBits6 = 16
)

// A block is one of the addresses of a rule.
type block struct {
	netip.Prefix
	names bool // may allow what is guarded
}

// contains reports whether a rule that allows these blocks allows an address.
func contains(blocks []block, a netip.Addr, guarded bool) bool {
	for i := range blocks {
		if (blocks[i].names || !guarded) && blocks[i].Contains(a) {
			return true
		}
	}
	return false
}

// covers reports whether a rule that denies these blocks denies an address: as
// it is, or as the IPv4 address that a translator on the way would make of it.
func covers(blocks []block, a netip.Addr) bool {
	if contains(blocks, a, false) {
		return true
	}
	var room [8]netip.Addr
	for _, e := range carried(room[:0], a) {
		if contains(blocks, e, false) {
			return true
		}
	}
	return false
}

// naming reports whether a block is narrow enough to name guarded addresses: by
// its length, or since it lies within one guarded block (fe80::/10 itself).
func naming(block netip.Prefix, guarded []netip.Prefix) bool {
	least := namingBits6
	if block.Addr().Is4() {
		least = namingBits4
	}
	if block.Bits() >= least {
		return true
	}
	for _, g := range guarded {
		if g.Bits() <= block.Bits() && g.Contains(block.Addr()) {
			return true
		}
	}
	return false
}

// isGuarded looks at an address and at every IPv4 address that a translator or
// tunnel on the way would make of it.
func (r *Rules) isGuarded(a netip.Addr) bool {
	if r.inGuarded(a) {
		return true
	}
	var room [8]netip.Addr
	for _, e := range carried(room[:0], a) {
		if r.inGuarded(e) {
			return true
		}
	}
	return false
}

// carried appends the IPv4 addresses that an address may stand for, none for
// IPv4 and the loopback address.
func carried(dst []netip.Addr, a netip.Addr) []netip.Addr {
	if a.Is4() || a == netip.IPv6Loopback() {
		return dst
	}
	return embedded(dst, a)
}

func (r *Rules) inGuarded(a netip.Addr) bool {
	if !r.nearGuarded.has(firstByte(a)) {
		return false
	}
	for _, g := range r.guarded {
		if g.Contains(a) {
			return true
		}
	}
	return false
}

// plain strips the zone and the IPv4-mapped form (RFC 4291 §2.5.5.2).
func plain(a netip.Addr) netip.Addr { return a.WithZone("").Unmap() }

// embedded appends the IPv4 addresses that an IPv6 address may carry.
func embedded(dst []netip.Addr, a netip.Addr) []netip.Addr {
	b := a.As16()
	v4 := func(i, j, k, l int) netip.Addr {
		return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]})
	}
	tail := v4(12, 13, 14, 15)
	zero := func(from, to int) bool {
		for _, x := range b[from:to] {
			if x != 0 {
				return false
			}
		}
		return true
	}
	switch {
	case zero(0, 12): // IPv4-compatible (RFC 4291 §2.5.5.1)
		dst = append(dst, tail)
	case zero(0, 8) && b[8] == 0xff && b[9] == 0xff && zero(10, 12): // IPv4-translated (RFC 2765 §2.1)
		dst = append(dst, tail)
	case b[0] == 0x00 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b: // NAT64 (RFC 6052 §2.2, RFC 8215)
		dst = append(dst, tail)
		if b[4] != 0 || b[5] != 0 {
			// The local-use prefix may be cut at other lengths; a first octet
			// of zero says that this is not the length in use.
			for _, e := range [...]netip.Addr{v4(6, 7, 9, 10), v4(7, 9, 10, 11), v4(9, 10, 11, 12)} {
				if e.As4()[0] != 0 {
					dst = append(dst, e)
				}
			}
		}
	case b[0] == 0x20 && b[1] == 0x02: // 6to4 (RFC 3056 §2)
		dst = append(dst, v4(2, 3, 4, 5))
	case b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0: // Teredo (RFC 4380 §4)
		dst = append(dst, v4(4, 5, 6, 7), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}))
	}
	if (b[8] == 0x00 || b[8] == 0x02) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe { // ISATAP (RFC 5214 §6.1)
		dst = append(dst, tail)
	}
	return dst
}

// firstBytes is a set of the first bytes of addresses, of both families.
type firstBytes [4]uint64

func (s *firstBytes) has(b byte) bool { return s[b/64]&(1<<(b%64)) != 0 }

// add adds all with which an address of the block may begin.
func (s *firstBytes) add(block netip.Prefix) {
	first := int(firstByte(block.Addr()))
	for b := first; b < first+1<<max(8-block.Bits(), 0); b++ {
		s[b/64] |= 1 << (b % 64)
	}
}

func firstByte(a netip.Addr) byte {
	if a.Is4() {
		return a.As4()[0]
	}
	return a.As16()[0]
}
