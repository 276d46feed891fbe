package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"adit/engine"
	"adit/engine/wire"
)

const fullHello = `{"type":"greeting","id":"edge-3","pool_size":2,"version":"1.4.0","hostname":"h","os":"linux",` +
	`"arch":"amd64","instance":"0b5e","expose":[{"host":"app"},{"tcp":5432}],"labels":{"region":"eu"},` +
	`"limits":{"max_exchanges":1000,"window":65536}}`

func TestHelloHasTheMembersOfTheProtocol(t *testing.T) {
	want := &wire.Hello{
		Greeting: engine.Greeting{ID: "edge-3", PoolSize: 2, Version: "1.4.0", Hostname: "h", OS: "linux", Arch: "amd64",
			Instance: "0b5e", Expose: []engine.Expose{{Host: "app"}, {TCP: 5432}}, Labels: map[string]string{"region": "eu"}},
		MaxExchanges: 1000, Window: 65536,
	}
	got, err := wire.ParseHello([]byte(fullHello))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if text := string(wire.AppendHello(nil, want)); text != fullHello {
		t.Errorf("got  %s\nwant %s", text, fullHello)
	}
}

func TestFeaturesAreAgreedOnByName(t *testing.T) {
	text := wire.AppendHello(nil, &wire.Hello{Greeting: engine.Greeting{ID: "a", ExposedOnly: true}, MaxExchanges: 1, Window: 65536})
	if got, err := wire.ParseHello(text); err != nil || !got.Greeting.ExposedOnly {
		t.Errorf("greeting %s: %+v, %v", text, got, err)
	}
	text = wire.AppendWelcome(nil, &wire.Welcome{Connection: "c-1", ExposedOnly: true})
	if got, err := wire.ParseWelcome(text); err != nil || !got.ExposedOnly {
		t.Errorf("welcome %s: %+v, %v", text, got, err)
	}
	for features, want := range map[string]bool{`[]`: false, `["later","exposed-only"]`: true, `["later"]`: false} {
		got, err := wire.ParseHello([]byte(hello(`,"features":` + features)))
		if err != nil || got.Greeting.ExposedOnly != want {
			t.Errorf("%s: %+v, %v", features, got, err)
		}
	}
	for _, features := range []string{`"exposed-only"`, `[1]`, `null`, `{}`} {
		if _, err := wire.ParseHello([]byte(hello(`,"features":` + features))); !errors.Is(err, wire.ErrFraming) {
			t.Errorf("%s: %v", features, err)
		}
	}
}

// hello is a valid greeting with more members.
func hello(members string) string {
	return `{"type":"greeting","id":"a"` + members + `}`
}

func TestHelloRules(t *testing.T) {
	list := func(n int, element string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	labels := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%d":""`, i)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	long := strings.Repeat("x", 257)

	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"least":                      {hello(""), nil},
		"white space":                {" {\t\"type\" : \"greeting\" ,\r\n\"id\":\"a\"}\n", nil},
		"escaped":                    {`{"\u0074ype":"gr\u0065eting","id":"\u0061"}`, nil},
		"unknown members":            {hello(`,"features":["x"],"y":{"id":[null,true,false,-1.5e+3,"z"]},"y":0`), nil},
		"nothing":                    {``, wire.ErrFraming},
		"x":                          {`x`, wire.ErrFraming},
		"null":                       {`null`, wire.ErrFraming},
		"array":                      {`[]`, wire.ErrFraming},
		"array around":               {`[` + fullHello + `]`, wire.ErrFraming},
		"string":                     {`"greeting"`, wire.ErrFraming},
		"garbage after":              {fullHello + `x`, wire.ErrFraming},
		"two values":                 {fullHello + fullHello, wire.ErrFraming},
		"cut":                        {fullHello[:len(fullHello)-1], wire.ErrFraming},
		"comma at the end":           {hello(`,`), wire.ErrFraming},
		"no type":                    {`{"id":"a"}`, wire.ErrFraming},
		"other type":                 {`{"type":"welcome","id":"a"}`, wire.ErrFraming},
		"name in capitals is no id":  {`{"type":"greeting","ID":"a"}`, wire.ErrFraming},
		"no id":                      {`{"type":"greeting"}`, wire.ErrFraming},
		"empty id":                   {`{"type":"greeting","id":""}`, wire.ErrFraming},
		"id of 128":                  {`{"type":"greeting","id":"` + long[:128] + `"}`, nil},
		"id of 129":                  {`{"type":"greeting","id":"` + long[:129] + `"}`, wire.ErrFraming},
		"id with space":              {`{"type":"greeting","id":"a b"}`, wire.ErrFraming},
		"id beyond ASCII":            {`{"type":"greeting","id":"é"}`, wire.ErrFraming},
		"id with escape character":   {`{"type":"greeting","id":"\u001b[2J"}`, wire.ErrFraming},
		"id a number":                {`{"type":"greeting","id":7}`, wire.ErrFraming},
		"id null":                    {`{"type":"greeting","id":null}`, wire.ErrFraming},
		"id twice":                   {hello(`,"id":"a"`), wire.ErrFraming},
		"type twice":                 {hello(`,"type":"greeting"`), wire.ErrFraming},
		"id twice, once escaped":     {hello(`,"\u0069d":"b"`), wire.ErrFraming},
		"pool 0":                     {hello(`,"pool_size":0`), nil},
		"pool -0":                    {hello(`,"pool_size":-0`), nil},
		"pool 100000":                {hello(`,"pool_size":100000`), nil},
		"pool 100001":                {hello(`,"pool_size":100001`), wire.ErrFraming},
		"pool -1":                    {hello(`,"pool_size":-1`), wire.ErrFraming},
		"pool 1.0":                   {hello(`,"pool_size":1.0`), wire.ErrFraming},
		"pool 1e1":                   {hello(`,"pool_size":1e1`), wire.ErrFraming},
		"pool 01":                    {hello(`,"pool_size":01`), wire.ErrFraming},
		"pool of 30 digits":          {hello(`,"pool_size":999999999999999999999999999999`), wire.ErrFraming},
		"pool a string":              {hello(`,"pool_size":"1"`), wire.ErrFraming},
		"version of 256":             {hello(`,"version":"` + long[:256] + `"`), nil},
		"version of 257":             {hello(`,"version":"` + long + `"`), wire.ErrFraming},
		"hostname of 257":            {hello(`,"hostname":"` + long + `"`), wire.ErrFraming},
		"os null":                    {hello(`,"os":null`), wire.ErrFraming},
		"arch true":                  {hello(`,"arch":true`), wire.ErrFraming},
		"instance an object":         {hello(`,"instance":{}`), wire.ErrFraming},
		"no routes":                  {hello(`,"expose":[]`), nil},
		"routes null":                {hello(`,"expose":null`), wire.ErrFraming},
		"route a string":             {hello(`,"expose":["app"]`), wire.ErrFraming},
		"route of neither":           {hello(`,"expose":[{}]`), wire.ErrFraming},
		"route of both":              {hello(`,"expose":[{"host":"app","tcp":1}]`), wire.ErrFraming},
		"route with more":            {hello(`,"expose":[{"host":"app","x":1}]`), nil},
		"route host twice":           {hello(`,"expose":[{"host":"a","host":"b"}]`), wire.ErrFraming},
		"host of 63":                 {hello(`,"expose":[{"host":"` + long[:63] + `"}]`), nil},
		"host of 64":                 {hello(`,"expose":[{"host":"` + long[:64] + `"}]`), wire.ErrFraming},
		"host empty":                 {hello(`,"expose":[{"host":""}]`), wire.ErrFraming},
		"host of two labels":         {hello(`,"expose":[{"host":"a.b"}]`), wire.ErrFraming},
		"host with hyphen first":     {hello(`,"expose":[{"host":"-a"}]`), wire.ErrFraming},
		"host with hyphen last":      {hello(`,"expose":[{"host":"a-"}]`), wire.ErrFraming},
		"host with underscore":       {hello(`,"expose":[{"host":"a_b"}]`), wire.ErrFraming},
		"host a Kelvin sign":         {hello(`,"expose":[{"host":"\u212a"}]`), wire.ErrFraming}, // its lower case is k
		"tcp 0":                      {hello(`,"expose":[{"tcp":0}]`), wire.ErrFraming},
		"tcp 65535":                  {hello(`,"expose":[{"tcp":65535}]`), nil},
		"tcp 65536":                  {hello(`,"expose":[{"tcp":65536}]`), wire.ErrFraming},
		"256 routes":                 {hello(`,"expose":` + list(256, `{"tcp":1}`)), nil},
		"257 routes":                 {hello(`,"expose":` + list(257, `{"tcp":1}`)), wire.ErrFraming},
		"64 labels":                  {hello(`,"labels":` + labels(64)), nil},
		"65 labels":                  {hello(`,"labels":` + labels(65)), wire.ErrFraming},
		"label twice":                {hello(`,"labels":{"a":"","a":""}`), wire.ErrFraming},
		"label a number":             {hello(`,"labels":{"a":1}`), wire.ErrFraming},
		"label name of 257":          {hello(`,"labels":{"` + long + `":""}`), wire.ErrFraming},
		"label value of 257":         {hello(`,"labels":{"a":"` + long + `"}`), wire.ErrFraming},
		"labels an array":            {hello(`,"labels":[]`), wire.ErrFraming},
		"limits empty":               {hello(`,"limits":{}`), nil},
		"limits with more":           {hello(`,"limits":{"x":{}}`), nil},
		"limits null":                {hello(`,"limits":null`), wire.ErrFraming},
		"window a string":            {hello(`,"limits":{"window":"1"}`), wire.ErrFraming},
		"window twice":               {hello(`,"limits":{"window":1,"window":2}`), wire.ErrFraming},
		"control character":          {hello(",\"os\":\"a\tb\""), wire.ErrFraming},
		"invalid UTF-8":              {hello(",\"os\":\"\xff\""), wire.ErrFraming},
		"invalid UTF-8, ignored":     {hello(",\"x\":\"\xff\""), wire.ErrFraming},
		"overlong UTF-8":             {hello(",\"os\":\"\xc0\xaf\""), wire.ErrFraming},
		"every escape":               {hello(`,"os":"\"\\\/\b\f\n\r\t\u000A"`), nil},
		"tab behind an escape":       {hello(",\"os\":\"\\n\tn\""), wire.ErrFraming},
		"backslash at the end":       {hello(`,"os":"a\`)[:36], wire.ErrFraming},
		"array cut":                  {hello(`,"expose":[{"tcp":1}`), wire.ErrFraming},
		"route host a number":        {hello(`,"expose":[{"host":1}]`), wire.ErrFraming},
		"lone surrogate":             {hello(`,"os":"\ud800"`), wire.ErrFraming},
		"low surrogate first":        {hello(`,"os":"\udc00\ud800"`), wire.ErrFraming},
		"surrogate and letter":       {hello(`,"os":"\ud800\u0041"`), wire.ErrFraming},
		"surrogate and line end":     {hello(`,"os":"\ud800\n"`), wire.ErrFraming},
		"surrogate pair":             {hello(`,"os":"\ud83d\ude00"`), nil},
		"escape unknown":             {hello(`,"os":"\x"`), wire.ErrFraming},
		"escape cut":                 {hello(`,"os":"\u00`), wire.ErrFraming},
		"escape not hexadecimal":     {hello(`,"os":"\u00g0"`), wire.ErrFraming},
		"32 deep":                    {hello(`,"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31)), nil},
		"33 deep":                    {hello(`,"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32)), wire.ErrFraming},
		"60,000 deep":                {hello(`,"x":` + strings.Repeat("[", 60000)), wire.ErrFraming},
		"64 KiB":                     {fullHello + strings.Repeat(" ", wire.MaxTextMessage-len(fullHello)), nil},
		"above 64 KiB":               {fullHello + strings.Repeat(" ", wire.MaxTextMessage-len(fullHello)+1), wire.ErrTooBig},
		"1 MiB":                      {strings.Repeat("a", 1<<20), wire.ErrTooBig},
		"comment":                    {`{/**/"type":"greeting","id":"a"}`, wire.ErrFraming},
		"single quotes":              {`{'type':'greeting','id':'a'}`, wire.ErrFraming},
		"number with a bare point":   {hello(`,"x":1.`), wire.ErrFraming},
		"number with a bare e":       {hello(`,"x":1e`), wire.ErrFraming},
		"number with a plus":         {hello(`,"x":+1`), wire.ErrFraming},
		"minus alone":                {hello(`,"x":-`), wire.ErrFraming},
		"word cut":                   {hello(`,"x":nul`), wire.ErrFraming},
		"word in capitals":           {hello(`,"x":True`), wire.ErrFraming},
		"false and null are ignored": {hello(`,"x":false,"y":null`), nil},
		"missing value":              {hello(`,"x":`), wire.ErrFraming},
		"missing colon":              {hello(`,"x" 1`), wire.ErrFraming},
		"byte order mark":            {"\ufeff" + fullHello, wire.ErrFraming},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wire.ParseHello([]byte(c.text)); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
}

func TestLimitsAreClampedOrDefault(t *testing.T) {
	for text, want := range map[string][2]int{
		``:                   {1000, 65536},
		`,"limits":{}`:       {1000, 65536},
		limits(0, 0):         {1, 16 << 10},
		limits(-5, -5):       {1, 16 << 10},
		limits(7, 9999):      {7, 16 << 10},
		limits(1<<62, 1<<62): {100_000, 8 << 20},
	} {
		h, err := wire.ParseHello([]byte(hello(text)))
		if err != nil || [2]int{h.MaxExchanges, h.Window} != want {
			t.Errorf("hello %s: got %+v, %v", text, h, err)
		}
		w, err := wire.ParseWelcome([]byte(`{"type":"welcome"` + text + `}`))
		if err != nil || [2]int{w.MaxExchanges, w.Window} != want {
			t.Errorf("welcome %s: got %+v, %v", text, w, err)
		}
	}
}

func limits(exchanges, window int64) string {
	return fmt.Sprintf(`,"limits":{"max_exchanges":%d,"window":%d}`, exchanges, window)
}

func TestHostIsKeptInLowerCase(t *testing.T) {
	h, err := wire.ParseHello([]byte(hello(`,"expose":[{"host":"App"}]`)))
	if err != nil || h.Greeting.Expose[0].Host != "app" {
		t.Fatalf("got %+v, %v", h, err)
	}
}

func TestHostileLabelIsKeptForFrontEndsToSanitise(t *testing.T) {
	h, err := wire.ParseHello([]byte(hello(`,"labels":{"\u001b]52;c;\u0007":"\u0000\u202e"}`)))
	if err != nil || h.Greeting.Labels["\x1b]52;c;\a"] != "\x00\u202e" {
		t.Fatalf("got %+v, %v", h, err)
	}
}

func TestWhatTheMachineSaysNeverCostsTheGreeting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 600), func(b []byte) string { return string(b) })
		h := &wire.Hello{Greeting: engine.Greeting{ID: "a", Version: text.Draw(t, "version"), Hostname: text.Draw(t, "hostname"),
			OS: text.Draw(t, "os"), Arch: text.Draw(t, "arch"), Instance: text.Draw(t, "instance"),
			Labels: map[string]string{"a": text.Draw(t, "label")}}}
		encoded := wire.AppendHello(nil, h)
		if !json.Valid(encoded) {
			t.Fatalf("no json: %q", encoded)
		}
		if _, err := wire.ParseHello(encoded); err != nil {
			t.Fatal(err)
		}
	})
}

const fullWelcome = `{"type":"welcome","connection":"c-17","server":"s","version":"1","ping_interval_ms":20000,` +
	`"limits":{"max_exchanges":1000,"window":65536},"urls":["https://app.tunnels.example.com"]}`

func TestWelcomeHasTheMembersOfTheProtocol(t *testing.T) {
	want := &wire.Welcome{Connection: "c-17", Server: "s", Version: "1", PingInterval: 20 * time.Second,
		MaxExchanges: 1000, Window: 65536, URLs: []string{"https://app.tunnels.example.com"}}
	got, err := wire.ParseWelcome([]byte(fullWelcome))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if text := string(wire.AppendWelcome(nil, want)); text != fullWelcome {
		t.Errorf("got  %s\nwant %s", text, fullWelcome)
	}
}

func TestWelcomeRules(t *testing.T) {
	welcome := func(members string) string { return `{"type":"welcome"` + members + `}` }
	urls := func(n, size int) string {
		one := `"` + strings.Repeat("u", size) + `"`
		return `,"urls":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]`
	}
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"least":                {welcome(""), nil},
		"unknown members":      {welcome(`,"features":[],"x":{"urls":0}`), nil},
		"a greeting":           {fullHello, wire.ErrFraming},
		"no type":              {`{}`, wire.ErrFraming},
		"null":                 {`null`, wire.ErrFraming},
		"garbage after":        {welcome("") + "}", wire.ErrFraming},
		"connection a number":  {welcome(`,"connection":17`), wire.ErrFraming},
		"connection of 257":    {welcome(`,"connection":"` + strings.Repeat("x", 257) + `"`), wire.ErrFraming},
		"connection twice":     {welcome(`,"connection":"c-1","connection":"c-2"`), wire.ErrFraming},
		"server null":          {welcome(`,"server":null`), wire.ErrFraming},
		"ping a string":        {welcome(`,"ping_interval_ms":"1"`), wire.ErrFraming},
		"ping a fraction":      {welcome(`,"ping_interval_ms":1.5`), wire.ErrFraming},
		"limits an array":      {welcome(`,"limits":[]`), wire.ErrFraming},
		"urls null":            {welcome(`,"urls":null`), wire.ErrFraming},
		"urls of numbers":      {welcome(`,"urls":[1]`), wire.ErrFraming},
		"256 urls":             {welcome(urls(256, 200)), nil},
		"257 urls":             {welcome(urls(257, 1)), wire.ErrFraming},
		"url of 512":           {welcome(urls(1, 512)), nil},
		"url of 513":           {welcome(urls(1, 513)), wire.ErrFraming},
		"invalid UTF-8":        {welcome(",\"server\":\"\xff\""), wire.ErrFraming},
		"above 64 KiB":         {welcome(urls(256, 300)), wire.ErrTooBig},
		"a close reason, text": {"id not allowed", wire.ErrFraming},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := wire.ParseWelcome([]byte(c.text)); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
		})
	}
	for ms, want := range map[string]time.Duration{"0": time.Second, "-1": time.Second, "1500": 1500 * time.Millisecond,
		"120001": 120 * time.Second, "9223372036854775807": 120 * time.Second} {
		w, err := wire.ParseWelcome([]byte(welcome(`,"ping_interval_ms":` + ms)))
		if err != nil || w.PingInterval != want {
			t.Errorf("ping %s: got %+v, %v", ms, w, err)
		}
	}
	if w, err := wire.ParseWelcome([]byte(welcome(""))); err != nil || w.PingInterval != 20*time.Second {
		t.Errorf("no ping: got %+v, %v", w, err)
	}
}

func TestLaterTextMessages(t *testing.T) {
	for name, c := range map[string]struct {
		text, kind, reason string
		err                error
	}{
		"drain":                  {`{"type":"drain","reason":"restart"}`, "drain", "restart", nil},
		"drain without reason":   {`{"type":"drain"}`, "drain", "", nil},
		"reason first":           {`{"reason":"r","type":"drain"}`, "drain", "r", nil},
		"drain, reason null":     {`{"type":"drain","reason":null}`, "", "", wire.ErrFraming},
		"drain, reason a number": {`{"reason":1,"type":"drain"}`, "", "", wire.ErrFraming},
		"reason twice":           {`{"type":"drain","reason":"a","reason":"b"}`, "", "", wire.ErrFraming},
		"type twice":             {`{"type":"x","type":"drain"}`, "", "", wire.ErrFraming},
		"unknown type":           {`{"type":"later","reason":{"a":[1]}}`, "later", "", nil},
		"unknown with a reason":  {`{"type":"later","reason":"x"}`, "later", "", nil},
		"empty type":             {`{"type":""}`, "", "", nil},
		"long type is cut":       {`{"type":"` + strings.Repeat("t", 300) + `"}`, strings.Repeat("t", 256), "", nil},
		"long reason is cut":     {`{"type":"drain","reason":"` + strings.Repeat("r", 300) + `"}`, "drain", strings.Repeat("r", 256), nil},
		"no type":                {`{"reason":"x"}`, "", "", wire.ErrFraming},
		"type a number":          {`{"type":1}`, "", "", wire.ErrFraming},
		"empty":                  {``, "", "", wire.ErrFraming},
		"null":                   {`null`, "", "", wire.ErrFraming},
		"array":                  {`["drain"]`, "", "", wire.ErrFraming},
		"garbage after":          {`{"type":"drain"} x`, "", "", wire.ErrFraming},
		"NUL after":              {"{\"type\":\"drain\"}\x00", "", "", wire.ErrFraming},
		"invalid UTF-8":          {"{\"type\":\"drain\",\"reason\":\"\x80\"}", "", "", wire.ErrFraming},
		"above 64 KiB":           {`{"type":"drain"}` + strings.Repeat(" ", 64<<10), "", "", wire.ErrTooBig},
	} {
		t.Run(name, func(t *testing.T) {
			kind, reason, err := wire.ParseText([]byte(c.text))
			if kind != c.kind || reason != c.reason || !errors.Is(err, c.err) {
				t.Errorf("got %q %q, %v", kind, reason, err)
			}
		})
	}
	for _, reason := range []string{"", "restart", "a\"b\\c\n<\xff>", strings.Repeat("é", 200)} {
		text := wire.AppendDrain(nil, reason)
		kind, got, err := wire.ParseText(text)
		if err != nil || kind != "drain" || !strings.HasPrefix(strings.ToValidUTF8(reason, "?"), got) || reason != "" && got == "" {
			t.Errorf("%q: got %q %q, %v", reason, kind, got, err)
		}
	}
}
