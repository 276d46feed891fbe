package history

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"adit/engine"
	"adit/engine/filter"
)

// collect returns everything that a search finds.
func collect(t testing.TB, f *File, fl *filter.Filter, c *filter.Context, order engine.RequestOrder) []Entry {
	t.Helper()
	var all []Entry
	err := f.Search(context.Background(), fl, c, order, 1, 1<<62, func(batch []Entry, _ engine.RequestID) bool {
		all = append(all, batch...)
		return true
	})
	if err != nil {
		t.Fatalf("search %q: %v", fl, err)
	}
	return all
}

func texts() []string {
	return []string{"", "a", "GET", "post", "edge-1", "Edge-2", "ü", "Ünder", "\u212Aelvin", "K", "k", "İi", "a%b_c", "a[b]c*?", `back\slash`, "nul\x00end",
		"bad\xff\xfeutf", "https://app.example.com/api/v1/orders/1?page=2", "/api/Health?x=1", "db.internal:5432", "http://höst/päth", strings.Repeat("long/", 40)}
}

func requests() *rapid.Generator[engine.Request] {
	word := rapid.SampledFrom(texts())
	us := rapid.Map(rapid.IntRange(-1, 3_000_000), func(n int) time.Duration {
		if n < 0 {
			return -1
		}
		return time.Duration(n) * time.Microsecond
	})
	return rapid.Custom(func(t *rapid.T) engine.Request {
		r := engine.Request{
			Connection: engine.ConnectionID(rapid.IntRange(0, 3).Draw(t, "conn")),
			Client:     word.Draw(t, "client"), Caller: word.Draw(t, "caller"), Credential: word.Draw(t, "credential"), Method: word.Draw(t, "method"), Target: word.Draw(t, "target"), Reason: word.Draw(t, "reason"),
			Way: engine.Way(rapid.IntRange(0, 5).Draw(t, "way")), Protocol: engine.Protocol(rapid.IntRange(0, 2).Draw(t, "protocol")),
			Status: rapid.SampledFrom([]int{0, 101, 200, 204, 304, 404, 499, 500, 503}).Draw(t, "status"), Outcome: engine.Outcome(rapid.IntRange(0, 7).Draw(t, "outcome")),
			RequestBytes: rapid.Int64Range(0, 4096).Draw(t, "in"), ResponseBytes: rapid.Int64Range(0, 4096).Draw(t, "out"),
			Queued: us.Draw(t, "queued"), Sent: us.Draw(t, "sent"), Connect: us.Draw(t, "connect"), FirstByte: us.Draw(t, "first"), LastByte: us.Draw(t, "last"),
			Upgraded: rapid.Bool().Draw(t, "upgraded"), Replay: rapid.Bool().Draw(t, "replay"),
		}
		if ago := rapid.IntRange(-1, 100_000).Draw(t, "ago"); ago >= 0 {
			r.Arrived = now().Add(-time.Duration(ago) * time.Second)
		}
		return r
	})
}

func now() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// filters draws texts of filters.
func filters() *rapid.Generator[string] {
	words := []string{`"GET"`, "get", "GET,post", "=get", "!=GET", "!=get,POST", "edge*", "=Edge-2", "*e*1", "?", "ü", `"Ü"`, "=ü", "=k", "K", "=kelvin", "*elvin", "k*", "i", "a%b_c", "=a%b_c", "a[b]*", `back\slash`, "/e.*r/i", "/^[a-g]/", "/elvin/i", "/(?i)KE+l/", "/ord(er|in)s/", "/a.*b_c/", "orders", "api/", "!=orders,health", "=", "=/api/Health", "*health*", "x=1,page", `""`, "=höst", "PÄTH"}
	fields := []string{"", "method:", "client:", "caller:", "credential:", "reason:", "path:", "host:", "query:", "f:"}
	numbers := []string{"status:200", "status:!=200,304", "status:5xx", "status:>=500", "status:404..", "dur:>200ms", "dur:..1s", "dur:!=1s", "dur:200ms", "dur:1500us", "ttfb:>=1s", "wait:<10ms,>2s",
		"in:>1K", "out:<=100", "size:1K..4K", "size:!=0", "conn:c-1", "conn:!=1,2", "id:10..50", "id:!=7", "time:-5m..", "time:..-10h", "time:11:00..11:30", "time:00:00..", "time:2026-11-22", "age:<1h", "age:!=1h", "age:>2m", "age:1h..2h"}
	choices := []string{"way:host", "way:request,tcp", "way:!=tcp", "protocol:wsp", "protocol:!=wsp", "outcome:timed", "outcome:!=completed", "outcome:e", "is:failed", "is:aborted,upgraded", "is:replay", "is:unseen", "is:ended", "is:inflight", "is:!=failed", "is:marked", "is:marked,failed",
		"label.region:sin", "label.region:!=sin", "header.x:1", "type:json", "type:!=json"}
	clause := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom(fields).Draw(t, "field") + rapid.SampledFrom(words).Draw(t, "word")
		}),
		rapid.SampledFrom(numbers), rapid.SampledFrom(choices))
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for i := range rapid.IntRange(1, 4).Draw(t, "clauses") {
			if i > 0 {
				b.WriteString(rapid.SampledFrom([]string{" ", " OR ", " AND "}).Draw(t, "join"))
			}
			switch c := clause.Draw(t, "clause"); rapid.IntRange(0, 5).Draw(t, "form") {
			case 0:
				b.WriteString("-" + c)
			case 1:
				b.WriteString("NOT (" + c + " OR " + clause.Draw(t, "other") + ")")
			case 2:
				b.WriteString("(" + c + " AND " + clause.Draw(t, "other") + ")")
			default:
				b.WriteString(c)
			}
		}
		return b.String()
	})
}

// SQL and the predicate must select the same.
func TestSearchAnswersOtherThanTheFilter(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{Captures: true})
	source := requests()
	var all []engine.Request
	var last uint64
	for i := range 400 {
		r := source.Example(i)
		r.ID = engine.RequestID(i*3 + 1)
		if i%4 == 0 {
			r.Heads = &engine.Heads{Request: "host: a\nx: " + fmt.Sprint(i%3) + "\n", Response: "content-type: application/json\n"}
		}
		all = append(all, r)
		last = f.Add(&engine.Event{Kind: engine.KindRequestFinished, Request: &r})
	}
	settle(t, f, last)
	for i := range all {
		got, err := f.Request(context.Background(), all[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Target != all[i].Target || got.Reason != all[i].Reason || got.Client != all[i].Client || got.LastByte != all[i].LastByte {
			t.Fatalf("came back as %+v\nwas %+v", got, all[i])
		}
		all[i] = got
	}
	c := &filter.Context{Now: now(), Marked: func(id uint64) bool { return id%5 == 0 },
		Labels: func(client string) map[string]string {
			if strings.HasPrefix(client, "e") {
				return map[string]string{"region": "sin"}
			}
			return nil
		}}
	rapid.Check(t, func(rt *rapid.T) {
		text := filters().Draw(rt, "filter")
		fl, err := filter.Parse(filter.Requests, text)
		if err != nil {
			rt.Skip(err)
		}
		found := map[engine.RequestID]bool{}
		for _, e := range collect(t, f, fl, c, engine.ByArrival) {
			found[e.ID] = true
		}
		for i := range all {
			if r := &all[i]; fl.Request(r, c) != found[r.ID] {
				x := compile(fl, c)
				rt.Fatalf("%s: %v in the database, %v by the filter: %+v\n%s %q", text, found[r.ID], fl.Request(r, c), r, x.condition(), x.args)
			}
		}
	})
}

// To ask the filter costs more than to find a row: it is not to be asked of rows of
// which SQL knows.
func TestFilterAskedOfEveryRow(t *testing.T) {
	t.Parallel()
	for text, asked := range map[string]bool{
		"-path:/health": false, "path:!=/health": false, "-(path:/api status:200)": false, "status:500 OR path:/api": false, "-path:/[a-z]/": true, "-path:/abc/": false,
		"path:/api": true, "path:/[0-9]/": true, "label.zone:a OR status:500": false, "label.zone:a status:500": true,
	} {
		fl, err := filter.Parse(filter.Requests, text)
		if err != nil {
			t.Fatal(err)
		}
		if x := compile(fl, nil); x.sure == "0" != asked || x.exact {
			t.Errorf("%s: sure of %s", text, x.sure)
		}
	}
}

func TestSearchOrderAndEnds(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	var last uint64
	for n := 1; n <= 25_000; n++ {
		id := n
		if n > 20_000 {
			id += 5_000_000 // nobody has the ids in between
		}
		e := finished(n)
		e.Request.ID = engine.RequestID(id)
		last = f.Add(e)
	}
	settle(t, f, last)
	for _, order := range []engine.RequestOrder{engine.ByArrival, engine.ByDuration, engine.BySize, engine.ByStatus, engine.ByClient, engine.ByPath} {
		all := collect(t, f, nil, nil, order)
		if len(all) != 25_000 {
			t.Fatalf("order %d: %d found", order, len(all))
		}
		for i := 1; i < len(all); i++ {
			if all[i].ID >= all[i-1].ID {
				t.Fatalf("order %d: %v after %v", order, all[i].ID, all[i-1].ID)
			}
		}
		r, err := f.Request(context.Background(), all[77].ID)
		if err != nil {
			t.Fatal(err)
		}
		want := Entry{ID: r.ID}
		switch order {
		case engine.ByDuration:
			want.Key = int64(r.LastByte)
		case engine.BySize:
			want.Key = r.RequestBytes + r.ResponseBytes
		case engine.ByStatus:
			want.Key = int64(r.Status)
		case engine.ByClient:
			want.Text, want.Key = r.Client, beginning(r.Client)
		case engine.ByPath:
			want.Text = filter.Path(r.Target)
			want.Key = beginning(want.Text)
		}
		if all[77] != want {
			t.Errorf("order %d: %+v, want %+v", order, all[77], want)
		}
	}
	// Where the filter is asked, two goroutines look at slices.
	fl, err := filter.Parse(filter.Requests, "-query:page=3 path:/orders.[0-9]/ method:!=PUT")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		want := engine.RequestID(5_025_001)
		for _, e := range collect(t, f, fl, nil, engine.ByPath) {
			for want--; ; want-- {
				if n := int(want) % 5_000_000; n%10 != 3 && n%3 != 2 && (want > 5_020_000 || want <= 20_000) {
					break
				}
			}
			if e.ID != want {
				t.Fatalf("%v found, want %v", e.ID, want)
			}
		}
		if want > 2 {
			t.Fatalf("found down to %v", want)
		}
	}
	var downs []engine.RequestID
	err = f.Search(context.Background(), nil, nil, engine.ByArrival, 100, 15_000, func(batch []Entry, down engine.RequestID) bool {
		downs = append(downs, down)
		return len(downs) < 5
	})
	if err != nil || len(downs) != 2 || downs[1] != 100 {
		t.Errorf("searched down to %v, %v", downs, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = f.Search(ctx, nil, nil, engine.ByArrival, 1, 1<<62, func([]Entry, engine.RequestID) bool { cancel(); return true })
	if err == nil {
		t.Error("a search goes on after its context has ended")
	}
}
