package origin

import (
	"fmt"
	"io"
	"log"
	"strings"
	"testing"
)

// What http1 makes of an answer.
type verdict int

const (
	taken   verdict = iota
	cut             // the head is taken, the content has no end
	refused         // no byte is passed on
)

func (o outcome) verdict() verdict {
	switch {
	case o.refused != nil:
		return refused
	case o.cut != nil:
		return cut
	}
	return taken
}

// A sample is an answer and what becomes of it.
type sample struct {
	name    string
	method  string // default GET; UPGRADE: a GET that asks for one
	answer  string
	verdict verdict
	content string
	differs string // why net/http makes something else of it; "": it does not
}

func ok(rest string) string { return "HTTP/1.1 200 OK\r\n" + rest }

func chunked(rest string) string { return ok("Transfer-Encoding: chunked\r\n\r\n" + rest) }

func fieldLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "X-%d: %d\r\n", i, i)
	}
	return b.String()
}

const (
	strictHead   = "net/http bears it; RFC 9112 §2.2 lets a recipient refuse it"
	strictLength = "net/http merges equal lengths; who wrote two is in doubt about one"
	smuggles     = "net/http lets transfer-encoding win; RFC 9112 §6.3 calls it an error to handle, and an attack"
	invents      = "net/http derives Cache-Control from Pragma"
)

func samples() []sample {
	return []sample{
		// Status lines.
		{name: "plain", answer: ok("Content-Length: 2\r\n\r\nhi"), content: "hi"},
		{name: "no reason", answer: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", content: "hi"},
		{name: "no reason and no space", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", content: "hi"},
		{name: "long reason", answer: "HTTP/1.1 404 Not   Found, s\xc3\xbcsse\r\nContent-Length: 0\r\n\r\n"},
		{name: "unusual status", answer: "HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n"},
		{name: "minor version above 1", answer: "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "status 099", answer: "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", verdict: refused, differs: "net/http takes any three digits"},
		{name: "status of two digits", answer: "HTTP/1.1 20 OK\r\n\r\n", verdict: refused},
		{name: "status of four digits", answer: "HTTP/1.1 2000 OK\r\n\r\n", verdict: refused},
		{name: "status signed", answer: "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n", verdict: refused, differs: "net/http reads it with Atoi"},
		{name: "two spaces", answer: "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", verdict: refused, differs: strictHead},
		{name: "tab for space", answer: "HTTP/1.1\t200 OK\r\n\r\n", verdict: refused},
		{name: "lower case", answer: "http/1.1 200 OK\r\n\r\n", verdict: refused},
		{name: "HTTP/2", answer: "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", verdict: refused, differs: "net/http takes any version"},
		{name: "HTTP/0.9", answer: "hello", verdict: refused},
		{name: "no HTTP", answer: "SSH-2.0-OpenSSH_9.2\r\n", verdict: refused},
		{name: "version of two digits", answer: "HTTP/1.10 200 OK\r\n\r\n", verdict: refused},
		{name: "control character in the reason", answer: "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n", verdict: refused, differs: strictHead},
		{name: "empty line first", answer: "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", verdict: refused},
		{name: "nothing", answer: "", verdict: refused},
		{name: "half a head", answer: ok("Content-Le"), verdict: refused},
		{name: "no empty line", answer: ok("Content-Length: 0\r\n"), verdict: refused},

		// Lines and fields.
		{name: "bare LF after the status line", answer: "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nhi", verdict: refused, differs: strictHead},
		{name: "bare LF after a field", answer: ok("A: b\nContent-Length: 2\r\n\r\nhi"), verdict: refused, differs: strictHead},
		{name: "bare LF ends the head", answer: ok("Content-Length: 2\r\n\nhi"), verdict: refused, differs: strictHead},
		{name: "LF alone all over", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", verdict: refused, differs: strictHead},
		{name: "bare CR in a value", answer: ok("A: b\rContent-Length: 9\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused},
		{name: "CR CR LF", answer: ok("A: b\r\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused},
		{name: "CR as empty line", answer: ok("Content-Length: 2\r\n\r\r\nhi"), verdict: refused},
		{name: "folded with space", answer: ok("A: b\r\n c\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused, differs: "net/http unfolds; RFC 9112 §5.2 lets a proxy answer 502"},
		{name: "folded with tab", answer: ok("A: b\r\n\tc\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused, differs: "net/http unfolds; RFC 9112 §5.2 lets a proxy answer 502"},
		{name: "folded length", answer: ok("Content-Length:\r\n 2\r\n\r\nhi"), verdict: refused, differs: "net/http unfolds; RFC 9112 §5.2 lets a proxy answer 502"},
		{name: "space before the first field", answer: ok(" A: b\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused},
		{name: "space before the colon", answer: ok("Content-Length : 2\r\n\r\nhi"), verdict: refused, differs: "net/http keeps a field of that name and reads to the close"},
		{name: "tab before the colon", answer: ok("Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "space in a name", answer: ok("A b: c\r\nContent-Length: 0\r\n\r\n"), verdict: refused, differs: "net/http keeps a field of that name"},
		{name: "no colon", answer: ok("Content-Length\r\n\r\n"), verdict: refused},
		{name: "empty name", answer: ok(": a\r\nContent-Length: 0\r\n\r\n"), verdict: refused},
		{name: "name no token", answer: ok("A@b: c\r\nContent-Length: 0\r\n\r\n"), verdict: refused},
		{name: "NUL in a value", answer: ok("A: b\x00c\r\nContent-Length: 0\r\n\r\n"), verdict: refused},
		{name: "DEL in a value", answer: ok("A: b\x7fc\r\nContent-Length: 0\r\n\r\n"), verdict: refused},
		{name: "tab in a value", answer: ok("A: b\tc\r\nContent-Length: 0\r\n\r\n")},
		{name: "bytes above ASCII", answer: ok("A: \xff\xfe\r\nContent-Length: 0\r\n\r\n")},
		{name: "empty value", answer: ok("A:\r\nContent-Length: 0\r\n\r\n")},
		{name: "space around a value", answer: ok("A: \t b c \t \r\nContent-Length:2 \r\n\r\nhi"), content: "hi"},
		{name: "names in other case", answer: ok("x-REQUEST-id: 1\r\ncONTENT-lENGTH: 2\r\n\r\nhi"), content: "hi"},
		{name: "repeated field", answer: ok("Set-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n")},
		{name: "of this connection", answer: ok("Connection: keep-alive, x-a\r\nKeep-Alive: timeout=5\r\nX-A: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: x\r\nHost: a\r\nContent-Length: 0\r\n\r\n")},
		{name: "connection names the length", answer: ok("Connection: content-length\r\nContent-Length: 2\r\n\r\nhi"), content: "hi"},
		{name: "connection names upgrade", answer: ok("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")},
		{name: "pragma", answer: ok("Pragma: no-cache\r\nContent-Length: 0\r\n\r\n"), differs: invents},
		{name: "256 fields", answer: ok("Content-Length: 0\r\n" + fieldLines(255) + "\r\n")},
		{name: "257 fields", answer: ok("Content-Length: 0\r\n" + fieldLines(256) + "\r\n"), verdict: refused, differs: "net/http bounds bytes only; the tunnel carries no more than 256 fields"},
		{name: "head of 63 KiB", answer: ok("Content-Length: 0\r\nA: " + strings.Repeat("a", 63<<10) + "\r\n\r\n")},
		{name: "head of 65 KiB", answer: ok("Content-Length: 0\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"), verdict: refused},
		{name: "head without end", answer: ok("A: " + strings.Repeat("a", 200<<10)), verdict: refused},

		// Content-Length.
		{name: "equal lengths", answer: ok("Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused, differs: strictLength},
		{name: "other lengths", answer: ok("Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"), verdict: refused},
		{name: "lengths in a list", answer: ok("Content-Length: 2, 2\r\n\r\nhi"), verdict: refused},
		{name: "length 0 and 2", answer: ok("Content-Length: 0\r\nContent-Length: 2\r\n\r\nhi"), verdict: refused},
		{name: "signed length", answer: ok("Content-Length: +2\r\n\r\nhi"), verdict: refused},
		{name: "negative length", answer: ok("Content-Length: -2\r\n\r\nhi"), verdict: refused},
		{name: "hexadecimal length", answer: ok("Content-Length: 0x2\r\n\r\nhi"), verdict: refused},
		{name: "length with underscore", answer: ok("Content-Length: 1_0\r\n\r\n0123456789"), verdict: refused},
		{name: "length with fraction", answer: ok("Content-Length: 2.0\r\n\r\nhi"), verdict: refused},
		{name: "empty length", answer: ok("Content-Length:\r\n\r\nhi"), verdict: refused},
		{name: "length above 2^63", answer: ok("Content-Length: 9223372036854775808\r\n\r\nhi"), verdict: refused},
		{name: "length of 100 digits", answer: ok("Content-Length: " + strings.Repeat("1", 100) + "\r\n\r\nhi"), verdict: refused},
		{name: "largest length", answer: ok("Content-Length: 9223372036854775807\r\n\r\nhi"), verdict: cut, content: "hi"},
		{name: "zeros before a length", answer: ok("Content-Length: 0002\r\n\r\nhi"), content: "hi"},
		{name: "less than its length", answer: ok("Content-Length: 5\r\n\r\nhi"), verdict: cut, content: "hi"},
		{name: "more than its length", answer: ok("Content-Length: 2\r\n\r\nhi there"), content: "hi"},
		{name: "large content", answer: ok("Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)), content: strings.Repeat("x", 100000)},
		{name: "until close", answer: ok("\r\nhi"), content: "hi"},
		{name: "nothing until close", answer: ok("\r\n")},

		// Transfer-Encoding (CL.TE, TE.CL, TE.TE).
		{name: "TE after CL", answer: ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), verdict: refused, differs: smuggles},
		{name: "CL after TE", answer: ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), verdict: refused, differs: smuggles},
		{name: "TE with CL to HEAD", method: "HEAD", answer: ok("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), verdict: refused, differs: smuggles},
		{name: "TE with bad CL", answer: ok("Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "two TE", answer: ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE identity after chunked", answer: ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE list", answer: ok("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE chunked twice", answer: ok("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE identity", answer: ok("Transfer-Encoding: identity\r\n\r\nhi"), verdict: refused},
		{name: "TE unknown", answer: ok("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE quoted", answer: ok("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE with parameter", answer: ok("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE with comma", answer: ok("Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE empty", answer: ok("Transfer-Encoding:\r\n\r\nhi"), verdict: refused},
		{name: "TE vertical tab", answer: ok("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"), verdict: refused},
		{name: "TE folded", answer: ok("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), verdict: refused, differs: "net/http unfolds; RFC 9112 §5.2 lets a proxy answer 502"},
		{name: "TE space before the colon", answer: ok("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), verdict: refused, differs: "net/http keeps a field of that name and reads to the close"},
		{name: "TE underscore", answer: ok("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), content: "0\r\n\r\n"},
		{name: "TE in other case", answer: ok("transfer-ENCODING: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), content: "hi"},
		{name: "TE after space", answer: ok("Transfer-Encoding: \t chunked \t\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), content: "hi"},
		{name: "TE in HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", verdict: refused, differs: "net/http ignores it and passes the chunks on as content; RFC 9112 §6.1: faulty framing"},

		// Chunks.
		{name: "chunks", answer: chunked("2\r\nhi\r\n7\r\n there!\r\n0\r\n\r\n"), content: "hi there!"},
		{name: "no chunk", answer: chunked("0\r\n\r\n")},
		{name: "last chunk of many zeros", answer: chunked("2\r\nhi\r\n0000\r\n\r\n"), content: "hi"},
		{name: "chunk size of 16 digits", answer: chunked("0000000000000002\r\nhi\r\n0\r\n\r\n"), content: "hi"},
		{name: "chunk size of 17 digits", answer: chunked("00000000000000002\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "chunk size above 2^63", answer: chunked("8000000000000000\r\nhi\r\n0\r\n\r\n"), verdict: cut, differs: "net/http counts to 2^64 and passes on what is there"},
		{name: "chunk size that wraps", answer: chunked("10000000000000002\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "chunk size in upper case", answer: chunked("A\r\n0123456789\r\n0\r\n\r\n"), content: "0123456789"},
		{name: "chunk size empty", answer: chunked("\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "chunk size signed", answer: chunked("+2\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "chunk size negative", answer: chunked("-2\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "chunk size with 0x", answer: chunked("0x2\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "chunk size with underscore", answer: chunked("1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), verdict: cut},
		{name: "space before a chunk size", answer: chunked(" 2\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "space after a chunk size", answer: chunked("2 \r\nhi\r\n0\r\n\r\n"), verdict: cut, differs: "net/http trims it"},
		{name: "bare LF after a chunk size", answer: chunked("2\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "bare CR after a chunk size", answer: chunked("2\rhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "CR CR LF after a chunk size", answer: chunked("2\r\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "bare LF after a chunk", answer: chunked("2\r\nhi\n0\r\n\r\n"), verdict: cut, content: "hi"},
		{name: "no line end after a chunk", answer: chunked("2\r\nhi0\r\n\r\n"), verdict: cut, content: "hi"},
		{name: "chunk longer than its size", answer: chunked("2\r\nhi!\r\n0\r\n\r\n"), verdict: cut, content: "hi"},
		{name: "chunk shorter than its size", answer: chunked("5\r\nhi\r\n0\r\n\r\n"), verdict: cut, content: "hi\r\n0"},
		{name: "chunk cut", answer: chunked("5\r\nhi"), verdict: cut, content: "hi"},
		{name: "last chunk missing", answer: chunked("2\r\nhi\r\n"), verdict: cut, content: "hi"},
		{name: "empty line missing", answer: chunked("2\r\nhi\r\n0\r\n"), verdict: cut, content: "hi"},
		{name: "bytes after the end", answer: chunked("2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"), content: "hi"},
		{name: "extension", answer: chunked("2;a=b;c=\"d e\"\r\nhi\r\n0;x\r\n\r\n"), content: "hi"},
		{name: "extension with LF", answer: chunked("2;a\nb\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "extension with a control character", answer: chunked("2;a\x01\r\nhi\r\n0\r\n\r\n"), verdict: cut, differs: "net/http looks at no byte of an extension"},
		{name: "extension of 3 KiB", answer: chunked("2;" + strings.Repeat("a", 3<<10) + "\r\nhi\r\n0\r\n\r\n"), content: "hi"},
		{name: "extension of 20 KiB", answer: chunked("2;" + strings.Repeat("a", 20<<10) + "\r\nhi\r\n0\r\n\r\n"), verdict: cut},
		{name: "extensions of 30 KiB", answer: chunked(strings.Repeat("2;"+strings.Repeat("a", 3<<10)+"\r\nhi\r\n", 10) + "0\r\n\r\n"), verdict: cut, content: "hihihihihi"},
		{name: "many small chunks", answer: chunked(strings.Repeat("1\r\nx\r\n", 20_000) + "0\r\n\r\n"), content: strings.Repeat("x", 20_000)},
		{name: "large chunks", answer: chunked(strings.Repeat("4000\r\n"+strings.Repeat("y", 0x4000)+"\r\n", 5) + "0\r\n\r\n"), content: strings.Repeat("y", 5*0x4000)},

		// Trailers.
		{name: "trailers", answer: ok("Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nhi\r\n0\r\nX-A: 1\r\nx-b:2\r\n\r\n"), content: "hi"},
		{name: "trailers that may not be", answer: chunked("2\r\nhi\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: a\r\nX-A: 1\r\n\r\n"), content: "hi"},
		{name: "folded trailer", answer: chunked("0\r\nA: b\r\n c\r\n\r\n"), verdict: cut, differs: "net/http unfolds; RFC 9112 §5.2 lets a proxy answer 502"},
		{name: "trailer without colon", answer: chunked("0\r\nA\r\n\r\n"), verdict: cut},
		{name: "bare LF after a trailer", answer: chunked("0\r\nA: b\n\r\n\r\n"), verdict: cut, differs: strictHead},
		{name: "bare CR in a trailer", answer: chunked("0\r\nA: b\rc\r\n\r\n"), verdict: cut},
		{name: "trailer section cut", answer: chunked("0\r\nA: b\r\n"), verdict: cut},
		{name: "257 trailers", answer: chunked("0\r\n" + fieldLines(257) + "\r\n"), verdict: cut, differs: "net/http bounds bytes only"},
		{name: "trailer section of 5 KiB", answer: chunked("0\r\nA: " + strings.Repeat("a", 5<<10) + "\r\n\r\n"), differs: "net/http takes no more than its read buffer, 4 KiB"},
		{name: "trailer section of 65 KiB", answer: chunked("0\r\nA: " + strings.Repeat("a", 65<<10) + "\r\n\r\n"), verdict: cut},
		{name: "trailer field without chunks", answer: ok("Trailer: X-A\r\nContent-Length: 2\r\n\r\nhi"), content: "hi"},
		{name: "trailer announces lengths", answer: ok("Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), differs: "net/http refuses the whole answer; here the trailer itself is dropped"},

		// Without content.
		{name: "HEAD", method: "HEAD", answer: ok("Content-Length: 5\r\n\r\n")},
		{name: "HEAD with content", method: "HEAD", answer: ok("Content-Length: 2\r\n\r\nhi")},
		{name: "HEAD chunked", method: "HEAD", answer: ok("Transfer-Encoding: chunked\r\n\r\n")},
		{name: "HEAD without length", method: "HEAD", answer: ok("\r\n")},
		{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n"},
		{name: "204 with length", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi"},
		{name: "204 chunked", answer: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{name: "304 with length", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"},
		{name: "304 chunked", answer: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{name: "205", answer: "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"},
		{name: "205 with content", answer: "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nhi", content: "hi"},

		// HTTP/1.0.
		{name: "HTTP/1.0 until close", answer: "HTTP/1.0 200 OK\r\n\r\nhi", content: "hi"},
		{name: "HTTP/1.0 with length", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", content: "hi"},
		{name: "HTTP/1.0 kept", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", content: "hi"},
		{name: "HTTP/1.0 cut", answer: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nhi", verdict: cut, content: "hi"},

		// Informational.
		{name: "100", answer: "HTTP/1.1 100 Continue\r\n\r\n" + ok("Content-Length: 2\r\n\r\nhi"), content: "hi"},
		{name: "103", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("Content-Length: 2\r\n\r\nhi"), content: "hi"},
		{name: "8 informational", answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 8) + ok("Content-Length: 0\r\n\r\n")},
		{name: "9 informational", answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9) + ok("Content-Length: 0\r\n\r\n"), verdict: refused, differs: "net/http leaves counting to who is told"},
		{name: "1xx with length", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\n" + ok("Content-Length: 0\r\n\r\n"), verdict: refused, differs: "net/http ignores it; the next two bytes are in doubt"},
		{name: "1xx with length 0", answer: "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n" + ok("Content-Length: 0\r\n\r\n")},
		{name: "1xx chunked", answer: "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + ok("Content-Length: 0\r\n\r\n"), verdict: refused, differs: "net/http ignores it; where the next head begins is in doubt"},
		{name: "1xx and no more", answer: "HTTP/1.1 100 Continue\r\n\r\n", verdict: refused},
		{name: "unasked 101", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi", verdict: refused},
		{name: "101", method: "UPGRADE", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi", content: "hi"},
		{name: "101 without connection", method: "UPGRADE", answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n", verdict: refused, differs: "net/http takes it for an answer without content"},
		{name: "101 without upgrade", method: "UPGRADE", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", verdict: refused, differs: "net/http takes it for an answer without content"},
		{name: "101 with length", method: "UPGRADE", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi", verdict: refused, differs: "net/http ignores it (RFC 9110 §8.6 forbids it)"},
		{name: "upgrade refused", method: "UPGRADE", answer: ok("Content-Length: 2\r\n\r\nhi"), content: "hi"},
	}
}

// quiet drops net/http's lines on bytes that follow an answer.
func quiet(t testing.TB) {
	old := log.Writer()
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(old) })
}

// Every answer has the same outcome as through net/http, in pieces of any size,
// but where the table says why not.
func TestResponsesAsThroughNetHTTP(t *testing.T) {
	quiet(t)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			if s.method == "" {
				s.method = "GET"
			}
			theirs := answered(t, throughNetHTTP, s.method, s.answer, 64<<10)
			for _, piece := range []int{64 << 10, 4096, 7, 1} {
				if len(s.answer)/piece > 20_000 {
					continue
				}
				ours := answered(t, throughHTTP1, s.method, s.answer, piece)
				if ours.verdict() != s.verdict || ours.refused == nil && ours.content != s.content {
					t.Errorf("pieces of %d: %v", piece, ours)
				}
				if same := ours.same(theirs); same != (s.differs == "") {
					t.Errorf("pieces of %d: same %v\nhttp1    %v\nnet/http %v", piece, same, ours, theirs)
				}
			}
		})
	}
}
