package origin

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever comes: no panic, no end that is none, never more content than came,
// and nothing taken that net/http refuses, so that strict stays strict.
func FuzzResponse(f *testing.F) {
	quiet(f)
	for _, s := range samples() {
		if len(s.answer) < 1<<10 {
			f.Add([]byte(s.answer), s.method == "HEAD", uint8(17))
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, head bool, piece uint8) {
		if len(answer) > 8<<10 {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		whole := answered(t, throughHTTP1, method, string(answer), len(answer))
		pieces := answered(t, throughHTTP1, method, string(answer), int(piece)%64+1)
		if !whole.same(pieces) {
			t.Errorf("in one piece %v\nin pieces of %d %v", whole, int(piece)%64+1, pieces)
		}
		if len(whole.content) > len(answer) {
			t.Errorf("%d bytes of content from %d", len(whole.content), len(answer))
		}
		if whole.length >= 0 && whole.refused == nil && whole.cut == nil && int64(len(whole.content)) != whole.length {
			t.Errorf("%d bytes of content, length %d", len(whole.content), whole.length)
		}
		if whole.verdict() == refused || looksAside(answer) {
			return
		}
		theirs := answered(t, throughNetHTTP, method, string(answer), len(answer))
		if theirs.refused != nil || theirs.status != whole.status || theirs.length != whole.length ||
			whole.cut == nil && (theirs.cut != nil || theirs.content != whole.content) {
			t.Errorf("http1    %v\nnet/http %v", whole, theirs)
		}
	})
}

// looksAside reports what net/http is stricter with, as the table of samples
// says: trailer sections above 4 KiB, and the announcement of trailers.
func looksAside(answer []byte) bool {
	return len(answer) > 4<<10 || bytes.Contains(bytes.ToLower(answer), []byte("\ntrailer"))
}

// Chunks decode to the same however they arrive.
func FuzzChunks(f *testing.F) {
	for _, s := range samples() {
		if _, rest, is := strings.Cut(s.answer, "Transfer-Encoding: chunked\r\n\r\n"); is && len(rest) < 1<<10 {
			f.Add([]byte(rest), uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cutAt uint16) {
		var whole chunkDecoder
		buf := bytes.Clone(in)
		nd, ns, err := whole.decode(buf, buf) // in place, as it is used
		if nd > len(in) || ns > len(in) {
			t.Fatalf("%d of %d bytes", nd, len(in))
		}
		var split chunkDecoder
		at := min(int(cutAt), len(in))
		out := make([]byte, len(in))
		n1, m1, err2 := split.decode(out, in[:at])
		n2, m2 := 0, 0
		if err2 == nil && m1 == at {
			n2, m2, err2 = split.decode(out[n1:], in[at:])
		}
		if n1+n2 != nd || m1+m2 != ns || !bytes.Equal(out[:nd], buf[:nd]) || (err == nil) != (err2 == nil) || whole.state != split.state {
			t.Errorf("whole %q %d %v, split %q %d %v", buf[:nd], ns, err, out[:n1+n2], m1+m2, err2)
		}
	})
}
