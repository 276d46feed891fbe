package policy_test

import (
	"testing"

	"adit/engine"
)

func answers(pairs ...string) *zone {
	z := &zone{answers: map[string][][]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		z.answers[pairs[i]] = append(z.answers[pairs[i]], []string{pairs[i+1]})
	}
	return z
}

// Row 19 of reliability.md: what callers try in order to reach what no rule
// speaks for. want "" means that nothing is dialled.
func TestPolicyServerSideRequestForgery(t *testing.T) {
	const metadata = "169.254.169.254:80"
	tests := []struct {
		name  string
		allow []string
		host  string
		zone  *zone
		want  string
	}{
		// Default deny.
		{"nothing allowed: name", nil, "api.internal:80", answers("api.internal", "10.0.0.5"), ""},
		{"nothing allowed: address", nil, "10.0.0.5:80", nil, ""},
		{"nothing allowed: loopback", nil, "127.0.0.1:80", nil, ""},
		{"nothing allowed: IPv6 loopback", nil, "[::1]:80", nil, ""},
		{"nothing allowed: mapped loopback", nil, "[::ffff:127.0.0.1]:80", nil, ""},
		{"nothing allowed: localhost", nil, "localhost:80", answers("localhost", "127.0.0.1"), ""},
		{"nothing allowed: octal", nil, "0177.0.0.1:80", nil, ""},
		{"nothing allowed: decimal", nil, "2130706433:80", nil, ""},
		{"nothing allowed: hexadecimal", nil, "0x7f.1:80", nil, ""},

		// any is everything but what is guarded.
		{"any: loopback", []string{"any"}, "127.0.0.1:80", nil, "127.0.0.1:80"},
		{"any: IPv6 loopback", []string{"any"}, "[::1]:80", nil, "[::1]:80"},
		{"any: private", []string{"any"}, "10.0.0.5:80", nil, "10.0.0.5:80"},
		{"any: mapped private is dialled plain", []string{"any"}, "[::ffff:10.0.0.5]:80", nil, "10.0.0.5:80"},
		{"any: name", []string{"any"}, "api.internal:80", answers("api.internal", "10.0.0.5"), "10.0.0.5:80"},
		{"any: NAT64 of an innocent address", []string{"any"}, "[64:ff9b::10.0.0.5]:80", nil, "[64:ff9b::a00:5]:80"},
		{"any: local NAT64 of an innocent address", []string{"any"}, "[64:ff9b:1::10.0.0.5]:80", nil, "[64:ff9b:1::a00:5]:80"},
		{"any: 6to4 of an innocent address", []string{"any"}, "[2002:a00:5::1]:80", nil, "[2002:a00:5::1]:80"},
		{"any: ordinary IPv6", []string{"any"}, "[2001:db8::1]:80", nil, "[2001:db8::1]:80"},
		{"any: metadata", []string{"any"}, metadata, nil, ""},
		{"any: link-local", []string{"any"}, "169.254.0.1:80", nil, ""},
		{"any: link-local, last", []string{"any"}, "169.254.255.255:80", nil, ""},
		{"any: beside link-local", []string{"any"}, "169.253.255.255:80", nil, "169.253.255.255:80"},
		{"any: Alibaba", []string{"any"}, "100.100.100.200:80", nil, ""},
		{"any: Azure", []string{"any"}, "168.63.129.16:80", nil, ""},
		{"any: Oracle", []string{"any"}, "192.0.0.192:80", nil, ""},
		{"any: AWS over IPv6", []string{"any"}, "[fd00:ec2::254]:80", nil, ""},
		{"any: AWS over IPv6, pod identity", []string{"any"}, "[fd00:ec2::23]:80", nil, ""},
		{"any: Google over IPv6", []string{"any"}, "[fd20:ce::254]:80", nil, ""},
		{"any: Scaleway over IPv6", []string{"any"}, "[fd00:42::42]:80", nil, ""},
		{"any: Oracle over IPv6", []string{"any"}, "[fd00:c1::a9fe:a9fe]:80", nil, ""},
		{"any: other unique-local", []string{"any"}, "[fd00:1::254]:80", nil, "[fd00:1::254]:80"},
		{"any: IPv6 link-local", []string{"any"}, "[fe80::1]:80", nil, ""},
		{"any: IPv6 link-local, end of block", []string{"any"}, "[febf::1]:80", nil, ""},
		{"any: IPv6 link-local with zone", []string{"any"}, "[fe80::1%eth0]:80", nil, ""},
		{"any: unspecified", []string{"any"}, "0.0.0.0:80", nil, ""},
		{"any: this network", []string{"any"}, "0.1.2.3:80", nil, ""},
		{"any: IPv6 unspecified", []string{"any"}, "[::]:80", nil, ""},
		{"any: multicast", []string{"any"}, "224.0.0.1:80", nil, ""},
		{"any: multicast, end of block", []string{"any"}, "239.255.255.250:80", nil, ""},
		{"any: IPv6 multicast", []string{"any"}, "[ff02::1]:80", nil, ""},
		{"any: broadcast", []string{"any"}, "255.255.255.255:80", nil, ""},

		// The same addresses in other clothes.
		{"mapped metadata", []string{"any"}, "[::ffff:169.254.169.254]:80", nil, ""},
		{"mapped metadata in hexadecimal", []string{"any"}, "[::ffff:a9fe:a9fe]:80", nil, ""},
		{"mapped metadata, long form", []string{"any"}, "[0:0:0:0:0:ffff:a9fe:a9fe]:80", nil, ""},
		{"compatible metadata", []string{"any"}, "[::169.254.169.254]:80", nil, ""},
		{"translated metadata", []string{"any"}, "[::ffff:0:169.254.169.254]:80", nil, ""},
		{"NAT64 metadata", []string{"any"}, "[64:ff9b::169.254.169.254]:80", nil, ""},
		{"local NAT64 metadata, 96 bits", []string{"any"}, "[64:ff9b:1::169.254.169.254]:80", nil, ""},
		{"local NAT64 metadata, 48 bits", []string{"any"}, "[64:ff9b:1:a9fe:a9:fe00::]:80", nil, ""},
		{"local NAT64 metadata, 48 bits with suffix", []string{"any"}, "[64:ff9b:1:a9fe:a9:fe12:3456:789a]:80", nil, ""},
		{"local NAT64 metadata, 56 bits", []string{"any"}, "[64:ff9b:1:a9:fe:a9fe::]:80", nil, ""},
		{"local NAT64 metadata, 64 bits", []string{"any"}, "[64:ff9b:1:0:a9:fea9:fe00:0]:80", nil, ""},
		{"6to4 metadata", []string{"any"}, "[2002:a9fe:a9fe::1]:80", nil, ""},
		{"Teredo server metadata", []string{"any"}, "[2001:0:a9fe:a9fe::1]:80", nil, ""},
		{"Teredo client metadata", []string{"any"}, "[2001:0:102:304:0:0:5601:5601]:80", nil, ""},
		{"ISATAP metadata", []string{"any"}, "[2001:db8::5efe:169.254.169.254]:80", nil, ""},
		{"ISATAP metadata, universal bit", []string{"any"}, "[2001:db8::200:5efe:a9fe:a9fe]:80", nil, ""},
		{"mapped unspecified", []string{"any"}, "[::ffff:0.0.0.0]:80", nil, ""},
		{"octal metadata by the resolver", []string{"any"}, "0251.0376.0251.0376:80", nil, ""},
		{"decimal metadata by the resolver", []string{"any"}, "2852039166:80", nil, ""},
		{"hexadecimal metadata by the resolver", []string{"any"}, "0xa9fea9fe:80", nil, ""},
		{"hexadecimal parts by the resolver", []string{"any"}, "0xA9.0xFE.0xA9.0xFE:80", nil, ""},
		{"short metadata by the resolver", []string{"any"}, "169.16689662:80", nil, ""},
		{"three parts by the resolver", []string{"any"}, "169.254.43518:80", nil, ""},
		{"trailing dot by the resolver", []string{"any"}, "169.254.169.254.:80", nil, ""},
		{"short zero by the resolver", []string{"any"}, "0:80", nil, ""},
		{"octal loopback is what it resolves to", []string{"any"}, "0177.0.0.1:80", nil, "127.0.0.1:80"},
		{"octal loopback is not its decimal reading", []string{"177.0.0.1"}, "0177.0.0.1:80", nil, ""},

		// Names that lead there.
		{"metadata by name", []string{"any"}, "metadata.google.internal:80", answers("metadata.google.internal", "169.254.169.254"), ""},
		{"metadata under a name rule", []string{"evil.example"}, "evil.example:80", answers("evil.example", "169.254.169.254"), ""},
		{"metadata under a suffix rule", []string{"*.example"}, "evil.example:80", answers("evil.example", "169.254.169.254"), ""},
		{"metadata under a URL rule", []string{"/^http:/"}, metadata, nil, ""},
		{"metadata by name under a URL rule", []string{"/^http:/"}, "evil.example:80", answers("evil.example", "169.254.169.254"), ""},
		{"mapped metadata in an answer", []string{"any"}, "evil.example:80", answers("evil.example", "::ffff:169.254.169.254"), ""},
		{"NAT64 metadata in an answer", []string{"any"}, "evil.example:80", answers("evil.example", "64:ff9b::a9fe:a9fe"), ""},
		{"unspecified in an answer", []string{"any"}, "evil.example:80", answers("evil.example", "0.0.0.0"), ""},
		{"link-local with zone in an answer", []string{"any"}, "evil.example:80", answers("evil.example", "fe80::1%eth0"), ""},
		{"AWS IPv6 metadata in an answer", []string{"any"}, "evil.example:80", answers("evil.example", "fd00:ec2::254"), ""},
		{"loopback under a CIDR rule", []string{"10.0.0.0/8"}, "evil.example:80", answers("evil.example", "127.0.0.1"), ""},
		{"public under a CIDR rule", []string{"10.0.0.0/8"}, "evil.example:80", answers("evil.example", "203.0.113.1"), ""},
		{"inside a CIDR rule", []string{"10.0.0.0/8"}, "api.example:80", answers("api.example", "10.1.2.3"), "10.1.2.3:80"},
		{"mapped inside a CIDR rule", []string{"10.0.0.0/8"}, "api.example:80", answers("api.example", "::ffff:10.1.2.3"), "10.1.2.3:80"},
		{"NAT64 is not inside a CIDR rule", []string{"10.0.0.0/8"}, "[64:ff9b::10.0.0.5]:80", nil, ""},
		{"suffix without a dot before it", []string{"*.corp"}, "evilcorp:80", answers("evilcorp", "10.0.0.5"), ""},
		{"suffix itself", []string{"*.corp"}, "corp:80", answers("corp", "10.0.0.5"), ""},
		{"name as a prefix", []string{"api.internal"}, "api.internal.evil.example:80", answers("api.internal.evil.example", "10.0.0.5"), ""},
		{"name with another port", []string{"api.internal:443"}, "api.internal:80", answers("api.internal", "10.0.0.5"), ""},
		{"address with another port", []string{"10.0.0.5:443"}, "10.0.0.5:22", nil, ""},
		{"name under an address rule with another port", []string{"10.0.0.5:443"}, "api.internal:22", answers("api.internal", "10.0.0.5"), ""},
		{"name in capitals", []string{"api.internal"}, "API.Internal:80", answers("api.internal", "10.0.0.5"), "10.0.0.5:80"},
		{"name with trailing dot", []string{"api.internal"}, "api.internal.:80", answers("api.internal", "10.0.0.5"), "10.0.0.5:80"},

		// Named: by address or block, not by a sweep.
		{"named metadata", []string{"169.254.169.254"}, metadata, nil, metadata},
		{"named metadata beside any", []string{"any", "169.254.169.254:80"}, metadata, nil, metadata},
		{"named metadata, other port", []string{"any", "169.254.169.254:80"}, "169.254.169.254:8080", nil, ""},
		{"named block", []string{"169.254.0.0/16"}, metadata, nil, metadata},
		{"named by name's address", []string{"169.254.169.254"}, "md.internal:80", answers("md.internal", "169.254.169.254"), metadata},
		{"sweep of all IPv4", []string{"0.0.0.0/0"}, metadata, nil, ""},
		{"sweep of half of IPv4", []string{"128.0.0.0/1"}, metadata, nil, ""},
		{"sweep of all IPv6", []string{"::/0"}, "[fe80::1]:80", nil, ""},
		{"sweep of unique-local", []string{"fc00::/7"}, "[fd00:ec2::254]:80", nil, ""},
		{"sweep allows the rest", []string{"fc00::/7"}, "[fd00:1::1]:80", nil, "[fd00:1::1]:80"},
		{"named IPv6 link-local block", []string{"fe80::/10"}, "[fe80::1]:80", nil, "[fe80::1]:80"},
		{"named multicast block", []string{"224.0.0.0/4"}, "224.0.0.1:80", nil, "224.0.0.1:80"},
		{"named unspecified", []string{"0.0.0.0"}, "0.0.0.0:80", nil, "0.0.0.0:80"},
		{"named in mapped form", []string{"::ffff:169.254.169.254"}, metadata, nil, metadata},

		// What is no HOST:PORT at all.
		{"user information", []string{"any"}, "user@api.internal:80", answers("api.internal", "10.0.0.5"), ""},
		{"allowed host as user", []string{"good.example"}, "good.example@evil.example:80", answers("evil.example", "10.0.0.5"), ""},
		{"backslash", []string{"any"}, `evil.example\@good.example:80`, nil, ""},
		{"percent in the host", []string{"any"}, "%31%36%39.254.169.254:80", nil, ""},
		{"full-width digits", []string{"any"}, "１６９.254.169.254:80", nil, ""},
		{"ideographic full stop", []string{"any"}, "169。254。169。254:80", nil, ""},
		{"NUL in the host", []string{"any"}, "good.example\x00.evil:80", nil, ""},
		{"space in the host", []string{"any"}, "good.example evil:80", nil, ""},
		{"empty host", []string{"any"}, ":80", nil, ""},
		{"only a dot", []string{"any"}, ".:80", nil, ""},
		{"empty label", []string{"any"}, "a..b:80", nil, ""},
		{"no port", []string{"any"}, "api.internal", nil, ""},
		{"port zero", []string{"any"}, "api.internal:0", nil, ""},
		{"port too large", []string{"any"}, "api.internal:65616", nil, ""},
		{"port with sign", []string{"any"}, "api.internal:+80", nil, ""},
		{"port with a name", []string{"any"}, "api.internal:http", nil, ""},
		{"bare IPv6", []string{"any"}, "fe80::1:80", nil, ""},
		{"IPv4 in brackets", []string{"any"}, "[127.0.0.1]:80", nil, ""},
		{"name in brackets", []string{"any"}, "[localhost]:80", nil, ""},
		{"half a bracket", []string{"any"}, "[::1:80", nil, ""},
		{"two ports", []string{"any"}, "127.0.0.1:80:443", nil, ""},
	}
	if len(tests) < 80 {
		t.Fatalf("%d cases, want at least 80", len(tests))
	}
	for _, tt := range tests {
		for _, scheme := range []string{"http", "tcp"} {
			t.Run(tt.name+"/"+scheme, func(t *testing.T) {
				z := tt.zone
				if z == nil {
					z = answers()
				}
				allow := tt.allow
				if scheme == "tcp" && len(allow) == 1 && allow[0] == "/^http:/" {
					allow = []string{"/^tcp:/"}
				}
				got, err := reach(t, rules(t, allow...), z, scheme, tt.host)
				if got != tt.want {
					t.Fatalf("dialled %q (%v), want %q", got, err, tt.want)
				}
				if reason := engine.ReasonOf(err); tt.want == "" && reason != engine.ReasonDenied {
					t.Fatalf("reason %v (%v), want denied", reason, err)
				}
			})
		}
	}
}

// A second lookup with another answer is how rebinding gets past a check that
// looks up by itself: here there is one lookup, and its address is dialled.
func TestPolicyDialsTheAddressItChecked(t *testing.T) {
	for _, tt := range []struct {
		name, first, second, want string
	}{
		{"then metadata", "10.0.0.5", "169.254.169.254", "10.0.0.5:80"},
		{"then outside the block", "10.0.0.5", "127.0.0.1", "10.0.0.5:80"},
		{"first outside the block", "127.0.0.1", "10.0.0.5", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z := answers("rebind.example", tt.first, "rebind.example", tt.second)
			got, err := reach(t, rules(t, "10.0.0.0/8"), z, "http", "rebind.example:80")
			if got != tt.want {
				t.Fatalf("dialled %q (%v), want %q", got, err, tt.want)
			}
			if len(z.asked) != 1 {
				t.Fatalf("looked up %d times, want once", len(z.asked))
			}
		})
	}
}

func TestPolicyMixedAnswerLosesItsDeniedAddresses(t *testing.T) {
	z := &zone{answers: map[string][][]string{"mixed.example": {{"169.254.169.254", "10.0.0.5", "::ffff:169.254.1.1", "fe80::1", "10.0.0.6"}}}}
	got, err := reach(t, rules(t, "any"), z, "http", "mixed.example:80")
	if err != nil || got != "10.0.0.5:80" {
		t.Fatalf("dialled %q (%v), want 10.0.0.5:80", got, err)
	}
}
