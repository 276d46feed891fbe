package wire_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"adit/engine/wire"
)

func TestRecordsSplitWhereTheyWereJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var message []byte
		var want []wire.Record
		for range rapid.IntRange(1, 8).Draw(t, "records") {
			r := wire.Record{
				Type:     wire.Type(rapid.IntRange(1, 7).Draw(t, "type")),
				Exchange: rapid.Uint64Range(1, math.MaxInt64).Draw(t, "exchange"),
				Payload:  rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "payload"),
			}
			switch r.Type {
			case wire.TypeTrailers:
				r.End = true
			case wire.TypeRequest, wire.TypeResponse, wire.TypeData:
				r.End = rapid.Bool().Draw(t, "end")
			}
			want = append(want, r)
			before := len(message)
			message = wire.AppendRecordHeader(message, r.Type, r.End, r.Exchange, len(r.Payload))
			if n := len(message) - before; n > wire.MaxRecordHeader {
				t.Fatalf("header of %d bytes", n)
			}
			message = append(message, r.Payload...)
		}
		for i, w := range want {
			got, rest, err := wire.NextRecord(message)
			if err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if got.Type != w.Type || got.End != w.End || got.Exchange != w.Exchange || !bytes.Equal(got.Payload, w.Payload) {
				t.Fatalf("record %d: got %+v, want %+v", i, got, w)
			}
			message = rest
		}
		if len(message) != 0 {
			t.Fatalf("%d bytes over", len(message))
		}
	})
}

func TestBrokenRecordIsFraming(t *testing.T) {
	nine := strings.Repeat("\xff", 8) + "\x7f" // 2^63-1
	for name, c := range map[string]struct {
		message string
		ok      bool
	}{
		"DATA":                        {"\x03\x00\x01\x02hi", true},
		"DATA END without content":    {"\x03\x01\x01\x00", true},
		"DATA without content or END": {"\x03\x00\x01\x00", false},
		"RESPONSE END":                {"\x02\x01\x01\x01x", true},
		"padded varints":              {"\x03\x00\x81\x80\x00\x82\x80\x00hi", true},
		"largest exchange":            {"\x03\x00" + nine + "\x01x", true},
		"empty message":               {"", false},
		"one byte":                    {"\x03", false},
		"cut in the flags":            {"\x03\x00", false},
		"cut in the exchange":         {"\x03\x00\x81\x81", false},
		"cut in the length":           {"\x03\x00\x01\x81", false},
		"no length":                   {"\x03\x00\x81\x00", false},
		"type 0":                      {"\x00\x00\x01\x01x", false},
		"type 8":                      {"\x08\x00\x01\x01x", false},
		"type 255":                    {"\xff\x00\x01\x01x", false},
		"flag 0x02":                   {"\x03\x02\x01\x01x", false},
		"flag 0x80 beside END":        {"\x03\x81\x01\x01x", false},
		"exchange 0":                  {"\x03\x00\x00\x01x", false},
		"varint of ten bytes":         {"\x03\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01x", false},
		"varint padded to ten bytes":  {"\x03\x00\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00\x01x", false},
		"length one beyond":           {"\x03\x00\x01\x02x", false},
		"length 2^63-1":               {"\x03\x00\x01" + nine + "x", false},
		"TRAILERS without END":        {"\x04\x00\x01\x01\x00", false},
		"TRAILERS":                    {"\x04\x01\x01\x01\x00", true},
		"WINDOW END":                  {"\x05\x01\x01\x01\x01", false},
		"RESET END":                   {"\x06\x01\x01\x01\x01", false},
		"CONNECT END":                 {"\x07\x01\x01\x02\x01\x00", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, rest, err := wire.NextRecord([]byte(c.message))
			if c.ok && (err != nil || len(rest) != 0) {
				t.Fatalf("rest %q, %v", rest, err)
			}
			if !c.ok && !errors.Is(err, wire.ErrFraming) {
				t.Fatalf("got %v, want broken framing", err)
			}
		})
	}
}

func TestPayloadDoesNotReachIntoTheNextRecord(t *testing.T) {
	message := wire.AppendRecordHeader(nil, wire.TypeData, false, 1, 1)
	message = append(message, 'a')
	message = append(wire.AppendRecordHeader(message, wire.TypeData, true, 1, 1), 'b')
	r, rest, err := wire.NextRecord(message)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(r.Payload, "overwritten"...)
	if r, _, err = wire.NextRecord(rest); err != nil || string(r.Payload) != "b" {
		t.Fatalf("next record is %q, %v", r.Payload, err)
	}
}

func TestWindowOutOfRangeIsFraming(t *testing.T) {
	for _, credit := range []uint64{1, 127, 128, 65536, wire.MaxCredit} {
		if got, err := wire.ParseWindow(wire.AppendWindow(nil, credit)); err != nil || got != credit {
			t.Errorf("credit %d: got %d, %v", credit, got, err)
		}
	}
	for name, payload := range map[string][]byte{
		"none":      nil,
		"zero":      {0},
		"too much":  wire.AppendWindow(nil, wire.MaxCredit+1),
		"remainder": {1, 0},
		"cut":       {0x80},
	} {
		if _, err := wire.ParseWindow(payload); !errors.Is(err, wire.ErrFraming) {
			t.Errorf("%s: got %v, want broken framing", name, err)
		}
	}
}

func TestResetReasonIsBoundedAndUTF8(t *testing.T) {
	for name, c := range map[string]struct{ reason, want string }{
		"empty":            {"", ""},
		"short":            {"origin went away", "origin went away"},
		"at the limit":     {strings.Repeat("x", 256), strings.Repeat("x", 256)},
		"above the limit":  {strings.Repeat("x", 5000), strings.Repeat("x", 256)},
		"cut at a letter":  {strings.Repeat("x", 255) + "é", strings.Repeat("x", 255)},
		"not UTF-8":        {"a\xffb", "a?b"},
		"long, not UTF-8":  {"\xff" + strings.Repeat("é", 200), "?" + strings.Repeat("é", 127) + "?"},
		"all continuation": {strings.Repeat("\x80", 300), "?"},
	} {
		t.Run(name, func(t *testing.T) {
			code, reason, err := wire.ParseReset(wire.AppendReset(nil, wire.ResetTimedOut, c.reason))
			if err != nil || code != wire.ResetTimedOut || reason != c.want {
				t.Fatalf("got %d %q, %v; want %q", code, reason, err, c.want)
			}
		})
	}
	for name, payload := range map[string]string{
		"no code":         "",
		"cut code":        "\x80",
		"257 bytes":       "\x01" + strings.Repeat("x", 257),
		"reason no UTF-8": "\x01\xff",
	} {
		if _, _, err := wire.ParseReset([]byte(payload)); !errors.Is(err, wire.ErrFraming) {
			t.Errorf("%s: got %v, want broken framing", name, err)
		}
	}
}

func TestUnknownResetCodeIsAccepted(t *testing.T) {
	for _, code := range []wire.ResetCode{0, 5, 9, 1 << 40} {
		if got, _, err := wire.ParseReset(wire.AppendReset(nil, code, "")); err != nil || got != code {
			t.Errorf("code %d: got %d, %v", code, got, err)
		}
	}
}

func TestResetReasonNeverCostsTheConnection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reason := string(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "reason"))
		_, got, err := wire.ParseReset(wire.AppendReset(nil, wire.ResetInternal, reason))
		if err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(reason) && !strings.HasPrefix(reason, got) {
			t.Fatalf("%q became %q", reason, got)
		}
	})
}

func TestConnectTargetIsHostAndPort(t *testing.T) {
	for _, c := range []struct {
		connect wire.Connect
		err     error
	}{
		{wire.Connect{Target: "db:5432"}, nil},
		{wire.Connect{Target: "127.0.0.1:1"}, nil},
		{wire.Connect{Target: "[2001:db8::1]:65535"}, nil},
		{wire.Connect{Target: "[fe80::1%25eth0]:22"}, nil},
		{wire.Connect{Route: 1}, nil},
		{wire.Connect{Route: 1 << 62, Target: "db:5432"}, nil},
		{wire.Connect{}, wire.ErrHTTP},
		{wire.Connect{Target: "db"}, wire.ErrHTTP},
		{wire.Connect{Target: "db:"}, wire.ErrHTTP},
		{wire.Connect{Target: ":5432"}, wire.ErrHTTP},
		{wire.Connect{Target: "db:0"}, wire.ErrHTTP},
		{wire.Connect{Target: "db:65536"}, wire.ErrHTTP},
		{wire.Connect{Target: "db:+80"}, wire.ErrHTTP},
		{wire.Connect{Target: "db:000080"}, wire.ErrHTTP},
		{wire.Connect{Target: "::1:80"}, wire.ErrHTTP},
		{wire.Connect{Target: "user@db:80"}, wire.ErrHTTP},
		{wire.Connect{Target: "d b:80"}, wire.ErrHTTP},
		{wire.Connect{Target: "db:80/"}, wire.ErrHTTP},
		{wire.Connect{Target: "db\r\n:80"}, wire.ErrHTTP},
		{wire.Connect{Target: "dé:80"}, wire.ErrHTTP},
		{wire.Connect{Route: 1, Target: "db"}, wire.ErrHTTP},
		{wire.Connect{Target: strings.Repeat("x", wire.MaxHead) + ":80"}, wire.ErrTooBig},
	} {
		got, err := wire.ParseConnect(wire.AppendConnect(nil, c.connect))
		if !errors.Is(err, c.err) || err == nil && got != c.connect {
			t.Errorf("%.60v: got %.60v, %v; want %v", c.connect, got, err, c.err)
		}
	}
	for _, payload := range []string{"", "\x01", "\x00\x05db:8", "\x00\x05db:80!", "\x80"} {
		if _, err := wire.ParseConnect([]byte(payload)); !errors.Is(err, wire.ErrFraming) {
			t.Errorf("%q: got %v, want broken framing", payload, err)
		}
	}
}
