package observe

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"adit/engine"
)

// A record that holds a method as the parser cut it out of a head holds the head.
func TestMethodDoesNotHoldTheHead(t *testing.T) {
	for _, want := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "PURGE", "get"} {
		head := strings.Clone(want + " /" + strings.Repeat("x", 8000))
		got := Method(head[:len(want)])
		if got != want || unsafe.StringData(got) == unsafe.StringData(head) {
			t.Errorf("%s: %q, part of the head: %v", want, got, unsafe.StringData(got) == unsafe.StringData(head))
		}
	}
	if got := Method(strings.Repeat("X", 2*engine.MaxText)); len(got) != engine.MaxText {
		t.Errorf("%d bytes", len(got))
	}
}

func TestTargetShowsNoSecret(t *testing.T) {
	long := strings.Repeat("x", 2*engine.MaxText)
	for target, want := range map[string]string{
		"":                              "",
		"*":                             "*",
		"/":                             "/",
		"/a@b:c/token=1":                "/a@b:c/token=1",
		"//user:pw@path":                "//user:pw@path",
		"host:443":                      "host:443",
		"[::1]:443":                     "[::1]:443",
		"user:pw@host:443":              "host:443",
		"http://host/a@b":               "http://host/a@b",
		"http://host/?mail=a@b":         "http://host/?mail=a@b",
		"http://[::1]/a@b":              "http://[::1]/a@b",
		"http://host:80/a@b":            "http://host:80/a@b",
		"http://user:pw@host/":          "http://host/",
		"HTTP://user@host":              "HTTP://host",
		"http://a@b@host/?x=@":          "http://host/?x=@",
		"http://user:p/w@host/":         "http://host/",
		"http://user:p?w@host/?token=1": "http://host/?token=***",
		"http://user:p?key=1&code=w@host/?token=1":               "http://host/?token=***",
		"http://user:p#w@host/":                                  "http://host/",
		"http://u:p@h/?Api_KEY=v&b=2":                            "http://h/?Api_KEY=***&b=2",
		"/?a=1&token=t&b=2":                                      "/?a=1&token=***&b=2",
		"/?token=t&x&key=&secret":                                "/?token=***&x&key=&secret",
		"/?token=***":                                            "/?token=***",
		"/?code=1&PassWord=2&X-Signature=3":                      "/?code=***&PassWord=***&X-Signature=***",
		"/?%74oken=t":                                            "/?%74oken=***",
		"/?%54%4F%4b%65N=t":                                      "/?%54%4F%4b%65N=***",
		"/?%zztoken=t":                                           "/?%zztoken=***",
		"/?%7token=t":                                            "/?%7token=***",
		"/?t%=1":                                                 "/?t%=1",
		"/?tok%65":                                               "/?tok%65",
		"/?user[password]=t=u==":                                 "/?user[password]=***",
		"/?a=1;token=t;b=2&c=3":                                  "/?a=1;token=***&c=3",
		"/?to=http://x/?key=t#y&c=3":                             "/?to=http://x/?key=***&c=3",
		"/#access_token=t&b=1":                                   "/#access_token=***&b=1",
		"/?a#access_token=t":                                     "/?a#access_token=***",
		"/?TOKEN=t#x?y":                                          "/?TOKEN=***",
		"/?tokén=t&ünter=1":                                      "/?tokén=t&ünter=1",
		"/?=1&=token&a=token":                                    "/?=1&=token&a=token",
		"/?" + long:                                              "/?" + long[:254],
		"/?token=" + long + "&b=1":                               "/?token=***&b=1",
		"http://" + long + "@host/?key=1":                        "http://host/?key=***",
		"/?key=1&" + long + "&key=2":                             "/?key=***&" + long[:246],
		"/" + strings.Repeat("é", 200):                           "/" + strings.Repeat("é", 127),
		"/?key=1&" + strings.Repeat("é", 200):                    "/?key=***&" + strings.Repeat("é", 123),
		"/?" + strings.Repeat("a", 249) + "&key=secret":          "/?" + strings.Repeat("a", 249) + "&key=",
		"/?" + strings.Repeat("a", 248) + "&key=secret":          "/?" + strings.Repeat("a", 248) + "&key=*",
		"/?a=" + strings.Repeat("%41", 80) + "&k%65y=" + long:    "/?a=" + strings.Repeat("%41", 80) + "&k%65y=***",
		strings.Repeat("/", 300) + "?token=" + long:              strings.Repeat("/", 256),
		"/?" + strings.Repeat("token=abcdefghijklmnopqr&", 20):   ("/?" + strings.Repeat("token=***&", 26))[:202],
		"/?" + strings.Repeat("token=abcdefghijklmnopqr&", 2000): ("/?" + strings.Repeat("token=***&", 26))[:256],
	} {
		if got := Target(target); got != want {
			t.Errorf("Target(%q)\n got %q\nwant %q", target, got, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	f.Add("/a", "b=1", "access_token", "&c=2")
	f.Add("http://u:p@h/", "x;y", "%74oken", "#z")
	f.Add(strings.Repeat("é", 130), "", "Key", "&key=q")
	f.Fuzz(func(t *testing.T, path, before, name, after string) {
		const secret = "hunter2"
		if strings.Contains(path+before+name+after, secret) || strings.ContainsAny(name, "&=;?#") {
			return
		}
		decoded, err := url.QueryUnescape(name)
		if err != nil {
			decoded = name
		}
		decoded = strings.ToLower(decoded)
		isSecret := false
		for _, word := range []string{"token", "key", "secret", "password", "signature", "code"} {
			isSecret = isSecret || strings.Contains(decoded, word)
		}
		target := path + "?" + before + "&" + name + "=" + secret + after
		got := Target(target)
		if isSecret && strings.Contains(got, secret) {
			t.Fatalf("Target(%q) shows the secret: %q", target, got)
		}
		if len(got) > engine.MaxText || utf8.ValidString(target) && !utf8.ValidString(got) {
			t.Fatalf("Target(%q) = %q, %d bytes", target, got, len(got))
		}
		if again := Target(got); strings.HasPrefix(target, "/") && again != got {
			t.Fatalf("Target is not stable: %q, then %q", got, again)
		}
	})
}
