package inspect_test

import (
	"bytes"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/inspect"
)

// What a stranger would read over an operator's shoulder.
func TestTextWithoutItsSecrets(t *testing.T) {
	for _, test := range []struct {
		kind     inspect.Kind
		in, want string
	}{
		{inspect.KindText, "user=bob\npassword=hunter2\nfin", "user=bob\npassword=***\nfin"},
		{inspect.KindText, "Authorization: Bearer abc def\r\nHost: a", "Authorization: ***\r\nHost: a"},
		{inspect.KindText, "curl -H 'Authorization: Bearer abc' http://h/?a=b&access_token=c&d=e", "curl -H 'Authorization: ***' http://h/?a=b&access_token=***&d=e"},
		{inspect.KindText, "export AWS_SECRET_ACCESS_KEY=\"x y\" A=b", "export AWS_SECRET_ACCESS_KEY=\"***\" A=b"},
		{inspect.KindText, "{'api_key': 'x', 'n': 1}", "{'api_key': '***', 'n': 1}"},
		{inspect.KindText, "'password' => 'x y', token := z;", "'password' => '***', token := z;"},
		{inspect.KindText, "the key is under the mat: look there", "the key is under the mat: look there"},
		{inspect.KindText, "password=", "password="},
		{inspect.KindText, `say {"token":[1,2]} once`, `say {"token":"***"} once`},
		{inspect.KindXML, `<a><user>bob</user><password>x<b>y</b></password></a>`, `<a><user>bob</user><password>***</password></a>`},
		{inspect.KindXML, `<s:Token type="bearer">x</s:Token><c api_key="x" host='h'/><key/>`, `<s:Token type="bearer">***</s:Token><c api_key="***" host='h'/><key/>`},
		{inspect.KindXML, `<input type=hidden name="csrf_token" value="x y"><input name=q value=z>`, `<input type=hidden name="csrf_token" value="***"><input name=q value=z>`},
		{inspect.KindXML, `<add key="DbPassword" value="x"/><secret><![CDATA[a<b]]></secret>`, `<add key="***" value="***"/><secret>***</secret>`},
		{inspect.KindXML, `<password>cut off he`, `<password>***`},
		{inspect.KindJSON, `{"body":"{\"a\":1,\"secret\":\"x\"}","b":"user=bob&password=x&c=d"}`, `{"body":"{\"a\":1,\"secret\":\"***\"}","b":"user=bob&password=***&c=d"}`},
		{inspect.KindForm, "a=b&token=c", "a=b&token=***"},
		{inspect.KindMultipart, "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nabc\r\n--x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\x00\x01\r\n--x--\r\n",
			"--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n***\r\n--x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n\x00\x01\r\n--x--\r\n"},
	} {
		if got := string(inspect.MaskText(test.kind, []byte(test.in))); got != test.want {
			t.Errorf("%v\n%s\nbecame\n%s\nwant\n%s", test.kind, test.in, got, test.want)
		}
	}
}

// A wrong Content-Encoding, or a control character, must not show by its bytes
// what is masked in text.
func TestNoSecretInAHexDump(t *testing.T) {
	for _, head := range []string{
		"Content-Type: application/json\nContent-Encoding: gzip\n", "Content-Type: text/plain\n", "Content-Type: multipart/form-data; boundary=x\n",
	} {
		data := "{\"password\":\"hunter2\"}"
		switch {
		case strings.Contains(head, "plain"):
			data = "one line\x07\nand another that is long enough to be text\npassword=hunter2\n"
		case strings.Contains(head, "multipart"):
			data = "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--x\r\nContent-Disposition: form-data; name=\"i\"\r\n\r\n\x00\x01\x02\x03\x04\x05\x06\x07\x00\x01\x02\xff\xfe\r\n--x--\r\n"
		}
		part := &engine.Part{Data: []byte(data), Size: int64(len(data)), Over: true}
		for _, look := range []inspect.Look{{}, {Hex: true}, {Plain: true}} {
			v := inspect.Read(head, part, look)
			if text := strings.Join(v.Lines, "\n"); strings.Contains(text, "hunter") || strings.Contains(text, "68 75 6e 74") || !v.Masked {
				t.Errorf("%s %+v\n%s", head, look, text)
			}
		}
	}
}

func TestHexFitsTheColumnsThatThereAre(t *testing.T) {
	for _, columns := range []int{31, 42, 43, 54, 75, 76, 200} {
		v := inspect.Read("", &engine.Part{Data: make([]byte, 100), Size: 100, Over: true}, inspect.Look{Columns: columns})
		for _, line := range v.Lines {
			if len(line) > columns {
				t.Fatalf("%d columns: %q", columns, line)
			}
		}
	}
}

func FuzzMaskText(f *testing.F) {
	for _, s := range []string{"token=x", "a: b\nkey: c", "<key a='b'>c</key>", `\"key\":\"x`, "--x\nname=\"key\"\n\ny\n--x", "password = 'x", "<key", "key=\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		given, stars := bytes.Clone(in), []byte(inspect.Masked)
		for kind := inspect.KindBinary; kind <= inspect.KindMultipart; kind++ {
			masked := inspect.MaskText(kind, in)
			// What is no language of a known grammar may be read another way once it
			// has masks in it, but a mask never brings back what it hides.
			if again := inspect.MaskText(kind, masked); bytes.Contains(masked, stars) && !bytes.Contains(again, stars) {
				t.Fatalf("%v %q is masked as %q, and that as %q", kind, in, masked, again)
			}
			if !bytes.Equal(given, in) {
				t.Fatalf("%v: what was given has changed", kind)
			}
		}
	})
}

// Every answer with a secret in it was said to be known in part only, and secrets
// that differ did so unseen.
func TestMaskedContentIsComparedAllTheSame(t *testing.T) {
	answer := func(token string) *inspect.Exchange {
		data := []byte(`{"token":"` + token + `","a":1}`)
		return &inspect.Exchange{
			Request: engine.Request{Status: 200, ResponseBytes: int64(len(data)), Heads: &engine.Heads{Response: "content-type: application/json\n"}},
			Content: &engine.Content{Response: engine.Part{Data: data, Size: int64(len(data)), Over: true}},
		}
	}
	if c := inspect.Compare(answer("a"), answer("a"), inspect.Look{}); c.Partial || c.Differences != 0 {
		t.Errorf("the same: %+v", c)
	}
	if c := inspect.Compare(answer("a"), answer("b"), inspect.Look{}); c.Partial || c.Differences != 1 {
		t.Errorf("another secret: %+v", c)
	}
}
