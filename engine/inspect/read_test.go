package inspect_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"adit/engine"
	"adit/engine/inspect"
)

// coded returns data in a content coding.
func coded(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "bare deflate":
		w, _ = flate.NewWriter(&b, 9)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCodingsAreUndoneAsFarAsTheyGo(t *testing.T) {
	text := []byte(strings.Repeat("line of text that is said again and again, with a number\n", 300))
	for i := range text {
		if i%13 == 0 {
			text[i] = byte('a' + i*i%26)
		}
	}
	for _, coding := range []string{"gzip", "deflate", "bare deflate", "br", "zstd"} {
		name := strings.TrimPrefix(coding, "bare ")
		all := coded(t, coding, text)
		d := inspect.Decode(name, all)
		if !bytes.Equal(d.Data, text) || d.Cut || d.Bounded || d.Left != "" || d.Problem != "" || len(d.Undone) != 1 {
			t.Errorf("%s: %d bytes, %+v", coding, len(d.Data), d.Undone)
		}
		d = inspect.Decode(name, all[:len(all)/2])
		if !d.Cut || !bytes.HasPrefix(text, d.Data) || len(d.Data) == 0 && coding != "zstd" {
			t.Errorf("half of %s: %d bytes, %v %q", coding, len(d.Data), d.Cut, d.Problem)
		}
	}
	both := coded(t, "br", coded(t, "gzip", text))
	if d := inspect.Decode("x-gzip, identity, BR", both); !bytes.Equal(d.Data, text) || fmt.Sprint(d.Undone) != "[br gzip]" {
		t.Errorf("two codings: %d bytes, %v", len(d.Data), d.Undone)
	}
	if d := inspect.Decode("compress, gzip", coded(t, "gzip", text)); d.Left != "compress" || !bytes.Equal(d.Data, text) {
		t.Errorf("one that is not known: %q", d.Left)
	}
	if d := inspect.Decode("gzip", text); d.Left != "gzip" || !bytes.Equal(d.Data, text) || d.Problem == "" {
		t.Errorf("what is not coded at all: %+v", d.Undone)
	}
}

func TestBombStopsAtTheBound(t *testing.T) {
	zeros := make([]byte, 16<<20)
	for _, coding := range []string{"gzip", "br", "zstd"} {
		bomb := coded(t, coding, zeros)
		d := inspect.Decode(coding, bomb)
		if len(d.Data) != inspect.MaxDecoded || !d.Bounded {
			t.Errorf("%s: %d bytes of %d", coding, len(d.Data), len(bomb))
		}
		twice := inspect.Decode(coding+", gzip", coded(t, "gzip", bomb))
		if len(twice.Data) > inspect.MaxDecoded {
			t.Errorf("%s twice: %d bytes", coding, len(twice.Data))
		}
	}
}

// view reads content of a type.
func view(media, content string, look inspect.Look) *inspect.View {
	return inspect.Read("Content-Type: "+media+"\n", &engine.Part{Data: []byte(content), Size: int64(len(content)), Over: true}, look)
}

func TestContentIsLaidOut(t *testing.T) {
	for name, c := range map[string]struct {
		media, content string
		look           inspect.Look
		title, want    string
	}{
		"json": {"application/json; charset=utf-8", `{"order":8812,"items":[{"sku":"A-1","qty":2},{"sku":"B-7","qty":1}],"note":"ring bell","e":{},"f":[],"g":{"h":{"i":null}}}`, inspect.Look{}, "json",
			"{\n  \"order\": 8812,\n  \"items\": [\n    { \"sku\": \"A-1\", \"qty\": 2 },\n    { \"sku\": \"B-7\", \"qty\": 1 }\n  ],\n  \"note\": \"ring bell\",\n  \"e\": {},\n  \"f\": [],\n  \"g\": {\n    \"h\": { \"i\": null }\n  }\n}"},
		"order and spelling": {"application/problem+json", ` {"b":1.50e+3,"a":"\u00e4/"} `, inspect.Look{}, "json", "{\n  \"b\": 1.50e+3,\n  \"a\": \"\\u00e4/\"\n}"},
		"no json":            {"application/json", "{oops}", inspect.Look{}, "json", "{oops}"},
		"cut in a member":    {"application/json", `{"a":[1,2,{"b":tr`, inspect.Look{Plain: true}, "json", `{"a":[1,2,{"b":tr`},
		"secrets":            {"application/json", `{"user":"a","password":"p"}`, inspect.Look{}, "json", "{\n  \"user\": \"a\",\n  \"password\": \"***\"\n}"},
		"secrets shown":      {"application/json", `{"password":"p"}`, inspect.Look{Secrets: true}, "json", "{\n  \"password\": \"p\"\n}"},
		"lines":              {"application/x-ndjson", "{\"a\":1}\n\n[1]\n", inspect.Look{}, "json lines", "{\n  \"a\": 1\n}\n[\n  1\n]"},
		"form":               {"application/x-www-form-urlencoded", "name=J%C3%B6rg+M&password=x&flag&bad=%zz", inspect.Look{}, "form", "name = Jörg M\npassword = ***\nflag\nbad = %zz"},
		"text":               {"text/plain", "one\r\ntwo\n", inspect.Look{}, "text", "one\ntwo"},
		"latin":              {"text/plain; charset=iso-8859-1", "caf\xe9", inspect.Look{}, "text", "café"},
		"utf-16":             {"text/plain", "\xff\xfeh\x00i\x00", inspect.Look{}, "text", "hi"},
		"sniffed json":       {"", `[1,{"a":2}]`, inspect.Look{}, "json", "[\n  1,\n  { \"a\": 2 }\n]"},
		"sniffed text":       {"application/octet-stream", "hello", inspect.Look{}, "text", "hello"},
		"binary":             {"", "\x00\x01abc\xff", inspect.Look{}, "binary", "00000000  00 01 61 62 63 ff                                 ..abc."},
		"text that is not":   {"text/plain", "\x00\x01\x02\x03", inspect.Look{}, "binary", "00000000  00 01 02 03                                       ...."},
		"hex":                {"text/plain", "0123456789abcdefg", inspect.Look{Hex: true}, "text, hex", "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n00000010  67                                                g"},
		"hex of secrets":     {"application/json", `{"key":"s"}`, inspect.Look{Hex: true}, "json, hex", "00000000  7b 22 6b 65 79 22 3a 22  2a 2a 2a 22 7d           {\"key\":\"***\"}"},
		"events":             {"text/event-stream", "event: tick\nid: 7\ndata: {\"a\":1}\n\n: hi\nretry: 5\ndata: x\ndata:y\n\n", inspect.Look{}, "events", "event: tick\nid: 7\n{\n  \"a\": 1\n}\n\nretry: 5\n: hi\nx\ny"},
		"grpc":               {"application/grpc+proto", "\x00\x00\x00\x00\x02\x08\x01\x01\x00\x00\x01\x00ab", inspect.Look{}, "grpc", "message 1  2 B\n  00000000  08 01                                             ..\nmessage 2  256 B, compressed, ends in the middle"},
		"nothing":            {"text/plain", "", inspect.Look{}, "nothing", ""},
	} {
		v := view(c.media, c.content, c.look)
		if got := strings.Join(v.Lines, "\n"); v.Title != c.title || strings.TrimRight(got, " ") != c.want {
			t.Errorf("%s: %q\n%s\nwant %q\n%s", name, v.Title, got, c.title, c.want)
		}
	}
}

func TestCutJSONIsLaidOutAsFarAsItGoes(t *testing.T) {
	all := `{"a":[1,{"b":"c\"d"},true],"e":{"f":null,"g":-1.5e3}}`
	for n := range all {
		v := inspect.Read("content-type: application/json\n", &engine.Part{Data: []byte(all[:n]), Size: 100}, inspect.Look{})
		flat := strings.NewReplacer("\n", "", " ", "").Replace(strings.Join(v.Lines, ""))
		if flat != all[:n] || n > 6 && len(v.Lines) < 2 {
			t.Errorf("%q became %q in %d lines", all[:n], flat, len(v.Lines))
		}
	}
}

func TestCodedContentSaysSo(t *testing.T) {
	all := coded(t, "gzip", []byte(`{"a":1}`))
	head := "Content-Type: application/json\nContent-Encoding: gzip\n"
	v := inspect.Read(head, &engine.Part{Data: all, Size: int64(len(all)), Over: true}, inspect.Look{})
	if v.Title != "json, gzip undone" || len(v.Lines) != 3 || len(v.Notes) != 0 || v.Partial() {
		t.Errorf("%+v", v)
	}
	v = inspect.Read(head, &engine.Part{Data: all[:len(all)-9], Size: 4 << 20, Over: true}, inspect.Look{})
	if !v.Partial() || !strings.Contains(fmt.Sprint(v.Notes), "of 4.0 MiB are kept") {
		t.Errorf("%+v", v)
	}
	v = inspect.Read("Content-Encoding: dcb\n", &engine.Part{Data: []byte("text"), Size: 4, Over: true}, inspect.Look{})
	if v.Kind != inspect.KindBinary || !strings.Contains(fmt.Sprint(v.Notes), "coded with dcb") {
		t.Errorf("%+v", v)
	}
}

func TestImageInWords(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 120, 80))); err != nil {
		t.Fatal(err)
	}
	if v := view("image/png", b.String(), inspect.Look{}); !strings.HasPrefix(v.Lines[0], "png image, 120x80, ") {
		t.Errorf("%q", v.Lines)
	}
	if v := view("image/webp", "RIFF", inspect.Look{}); v.Lines[0] != "webp image, 4 B" {
		t.Errorf("%q", v.Lines)
	}
}

func TestEveryViewIsBounded(t *testing.T) {
	for name, content := range map[string]string{
		"lines": strings.Repeat("\n", 256<<10), "nested": strings.Repeat("[", 256<<10), "pairs": strings.Repeat("a&", 128<<10),
		"commas": "[" + strings.Repeat("1,", 128<<10), "binary": strings.Repeat("\x00", 1<<20),
	} {
		for _, media := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded", "text/event-stream", "application/grpc", ""} {
			v := view(media, content, inspect.Look{})
			total := 0
			for _, l := range v.Lines {
				total += len(l)
			}
			if len(v.Lines) > inspect.MaxLines || total > 3<<20 {
				t.Errorf("%s as %q: %d lines, %d bytes", name, media, len(v.Lines), total)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("application/json", "gzip", []byte(`{"a":[1,{"token":"x"}]}`), true, false)
	f.Add("text/event-stream", "", []byte("data: {\"key\":1}\n\nid:2\r\r"), false, false)
	f.Add("application/grpc", "", []byte("\x00\x00\x00\x00\x01a"), true, true)
	f.Add("application/x-www-form-urlencoded", "br", []byte("a=b&password=c"), true, false)
	f.Add("image/gif", "zstd", []byte("GIF89a\x01\x00\x01\x00"), true, false)
	f.Add("text/plain;charset=utf-16", "deflate", []byte("\xfe\xff\xd8\x00\x00"), true, false)
	f.Fuzz(func(t *testing.T, media, coding string, data []byte, over, plain bool) {
		head := "Content-Type: " + media + "\nContent-Encoding: " + coding + "\n"
		given := bytes.Clone(data)
		for _, content := range [][]byte{data, coded(t, "gzip", data)} {
			part := engine.Part{Data: content, Size: int64(len(content)), Over: over}
			v := inspect.Read(head, &part, inspect.Look{Plain: plain})
			if len(v.Lines) > inspect.MaxLines {
				t.Fatalf("%d lines", len(v.Lines))
			}
			for _, l := range v.Lines {
				if strings.Contains(l, "\n") {
					t.Fatalf("a line with a line break: %q", l)
				}
			}
			inspect.Read(head, &part, inspect.Look{Hex: true})
		}
		if !bytes.Equal(data, given) {
			t.Fatal("what was given has changed")
		}
	})
}

// Laid out, JSON says the same.
func FuzzPrettyJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":null}],"c":{}}`, `[[[]]]`, `"x"`, `{"a":{"b":{"c":"long enough that it does not fit on one line of sixty"}}}`, `[1e5,-0,true]`, `{"":" "}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		v := view("application/json", in, inspect.Look{Secrets: true})
		got := strings.Join(v.Lines, "\n")
		if !json.Valid([]byte(in)) || len(in) > 4096 || !utf8.ValidString(in) || strings.HasPrefix(in, "\ufeff") {
			return
		}
		var a, b bytes.Buffer
		if json.Compact(&a, []byte(in)) != nil {
			return
		}
		if err := json.Compact(&b, []byte(got)); err != nil || a.String() != b.String() {
			t.Fatalf("%q became %q: %v", in, got, err)
		}
	})
}
