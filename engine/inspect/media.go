package inspect

import (
	"mime"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A Kind says what content is, as far as its reading differs.
type Kind uint8

const (
	KindNone      Kind = iota // there is no content
	KindBinary                // nothing that can be read
	KindText                  // any text that is not one of those below
	KindJSON                  // RFC 8259
	KindLines                 // one JSON value a line
	KindForm                  // application/x-www-form-urlencoded
	KindXML                   // HTML too
	KindImage                 // of a type whose size can be told, or not
	KindEvents                // server-sent events
	KindGRPC                  // length-prefixed messages
	KindMultipart             // RFC 2046 §5.1
)

var kindNames = [...]string{"nothing", "binary", "text", "json", "json lines", "form", "xml", "image", "events", "grpc", "multipart"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// MediaType returns type/subtype of a Content-Type field in lower case, and its
// parameters. What can't be parsed keeps what stands before the first ';'.
func MediaType(contentType string) (media string, parameters map[string]string) {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media, parameters
}

// KindOf says what content of a media type is: by its name and, where that says
// nothing, by its beginning.
func KindOf(media string, data []byte) Kind {
	switch {
	case len(data) == 0:
		return KindNone
	case media == "application/json", strings.HasSuffix(media, "+json"), media == "text/json":
		return KindJSON
	case media == "application/x-ndjson", media == "application/jsonl", media == "application/json-lines", media == "application/json-seq":
		return KindLines
	case media == "application/x-www-form-urlencoded":
		return KindForm
	case media == "text/event-stream":
		return KindEvents
	case media == "text/xml", media == "application/xml", media == "text/html", strings.HasSuffix(media, "+xml"):
		return KindXML
	case strings.HasPrefix(media, "application/grpc"):
		return KindGRPC
	case strings.HasPrefix(media, "multipart/"):
		return KindMultipart
	case strings.HasPrefix(media, "image/"):
		return KindImage
	case strings.HasPrefix(media, "text/"), media == "application/javascript", media == "application/yaml", media == "application/graphql":
		return KindText
	case strings.HasPrefix(media, "audio/"), strings.HasPrefix(media, "video/"), strings.HasPrefix(media, "font/"):
		return KindBinary
	}
	if !looksLikeText(data) {
		return KindBinary
	}
	if start := skipSpace(data, 0); start < len(data) && (data[start] == '{' || data[start] == '[') {
		if _, ok := prettyJSON(data, false); ok {
			return KindJSON
		}
	}
	return KindText
}

// looksLikeText reports whether data is UTF-8, a character that is cut at its end
// aside, without control characters that no text has.
func looksLikeText(data []byte) bool {
	for i := 0; i < len(data); {
		if c := data[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return len(data)-i < utf8.UTFMax && !utf8.FullRune(data[i:])
		}
		i += size
	}
	return true
}

// Text returns data as UTF-8 by the charset of its media type: what is neither
// UTF-8 nor UTF-16 is read as ISO 8859-1, in which every byte means something. ok
// is false for what is no text by its bytes.
func Text(data []byte, charset string) (text []byte, ok bool) {
	charset = strings.ToLower(charset)
	switch {
	case strings.HasPrefix(charset, "utf-16"):
		return fromUTF16(data, charset == "utf-16be"), true
	case len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff):
		return fromUTF16(data, false), true
	case len(data) >= 3 && string(data[:3]) == "\xef\xbb\xbf":
		data = data[3:]
	}
	other := charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii"
	if !other && looksLikeText(data) || utf8.Valid(data) && looksLikeText(data) {
		return data, true
	}
	binary := 0
	for _, c := range data {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			binary++
		}
	}
	switch {
	case binary*20 > len(data):
		return data, false
	case utf8.Valid(data):
		return data, true
	case charset == "" && binary > 0, !other && binary > 0:
		return data, false
	}
	b := make([]byte, 0, len(data)+len(data)/8)
	for _, c := range data {
		b = utf8.AppendRune(b, rune(c))
	}
	return b, true
}

// fromUTF16 reads little endian unless a mark or big says otherwise.
func fromUTF16(data []byte, big bool) []byte {
	if len(data) >= 2 && data[0] == 0xfe && data[1] == 0xff {
		big, data = true, data[2:]
	} else if len(data) >= 2 && data[0] == 0xff && data[1] == 0xfe {
		big, data = false, data[2:]
	}
	b := make([]byte, 0, len(data))
	unit := func(i int) rune {
		if big {
			return rune(data[i])<<8 | rune(data[i+1])
		}
		return rune(data[i+1])<<8 | rune(data[i])
	}
	for i := 0; i+1 < len(data); i += 2 {
		r := unit(i)
		if utf16.IsSurrogate(r) && i+3 < len(data) {
			if pair := utf16.DecodeRune(r, unit(i+2)); pair != utf8.RuneError {
				r, i = pair, i+2
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}
