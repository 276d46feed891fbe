package inspect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/inspect"
)

// answered is an exchange whose answer is a JSON text.
func answered(status int, fields, content string) *inspect.Exchange {
	x := exchange("q")
	x.Request.Status, x.Request.ResponseBytes = status, int64(len(content))
	x.Request.Heads.Response = "Content-Type: application/json\n" + fields
	x.Content.Response = engine.Part{Data: []byte(content), Size: int64(len(content)), Over: true}
	return x
}

func rows(c *inspect.Comparison) string {
	var b strings.Builder
	for _, r := range c.Rows {
		if r.Title {
			fmt.Fprintf(&b, "== %s\n", r.Left)
		} else {
			fmt.Fprintf(&b, "%-7s %s | %s\n", r.Change, r.Left, r.Right)
		}
	}
	return b.String()
}

func TestAnswersSideBySide(t *testing.T) {
	a := answered(200, "Date: 1\nX: 1\nX: 2\nGone: y\nSet-Cookie: a\n", `{"a":1,"b":[1,2],"c":"same text that fills a line of its own"}`)
	b := answered(500, "x: 2\nDate: 2\nx: 3\nNew: z\nSet-Cookie: b\n", `{"a":2,"c":"same text that fills a line of its own","d":null}`)
	b.Request.LastByte = 9 * time.Millisecond
	c := inspect.Compare(a, b, inspect.Look{})
	want := `== Answer
changed status      200 | status      500
same    outcome     completed | outcome     completed
same    client      edge | client      edge
noise   took        7.0 ms | took        9.0 ms
same    first byte  5.0 ms | first byte  5.0 ms
changed content     62 B | content     61 B
== Header fields
same    Content-Type: application/json | Content-Type: application/json
noise   Date: 1 | Date: 2
changed X: 1 | x: 3
same    X: 2 | x: 2
removed Gone: y | 
changed Set-Cookie: *** | Set-Cookie: ***
added    | New: z
== Content
same    { | {
changed   "a": 1, |   "a": 2,
removed   "b": [1, 2], | 
same      "c": "same text that fills a line of its own" |   "c": "same text that fills a line of its own",
added    |   "d": null
same    } | }
`
	if got := rows(c); got != want || c.Differences != 9 || c.Partial {
		t.Errorf("%d differences\n%s\nwant\n%s", c.Differences, got, want)
	}
	if same := inspect.Compare(a, a, inspect.Look{}); same.Differences != 0 || same.Partial {
		t.Errorf("the same: %d differences\n%s", same.Differences, rows(same))
	}
}

func TestWhatIsNotKeptIsNotCalledTheSame(t *testing.T) {
	a, b := answered(200, "", `{"a":1}`), answered(200, "", `{"a":1}`)
	b.Content = nil
	if c := inspect.Compare(a, b, inspect.Look{}); !c.Partial || !strings.Contains(rows(c), "json | not kept") {
		t.Errorf("%s", rows(c))
	}
	b = answered(200, "", `{"a":1}`)
	b.Content.Response.Size = 99
	if c := inspect.Compare(a, b, inspect.Look{}); !c.Partial {
		t.Errorf("%s", rows(c))
	}
	b.Request.Heads = nil
	if c := inspect.Compare(a, b, inspect.Look{}); !c.Partial || !strings.Contains(rows(c), "the replay's are not here") {
		t.Errorf("%s", rows(c))
	}
}

func TestTextsThatHaveNothingInCommonStayBounded(t *testing.T) {
	var left, right strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&left, "left %d\n", i)
		fmt.Fprintf(&right, "right %d\n", i)
	}
	a, b := answered(200, "", left.String()), answered(200, "", right.String())
	a.Request.Heads.Response, b.Request.Heads.Response = "Content-Type: text/plain\n", "Content-Type: text/plain\n"
	c := inspect.Compare(a, b, inspect.Look{})
	if !c.Partial || c.Differences < 9000 {
		t.Errorf("%d differences", c.Differences)
	}
}

// Each side of a comparison is what there was, and lines that are the same are.
func FuzzCompare(f *testing.F) {
	f.Add("a\nb\nc", "a\nc\nd")
	f.Add("", "x\n\n")
	f.Add("1\n2\n3\n1\n2\n3", "3\n2\n1\n3\n2\n1")
	f.Fuzz(func(t *testing.T, left, right string) {
		plain := func(s string) *inspect.Exchange {
			x := answered(200, "", "x"+s)
			x.Request.Heads.Response = "Content-Type: text/plain; charset=utf-8\n"
			return x
		}
		a, b := plain(left), plain(right)
		c := inspect.Compare(a, b, inspect.Look{Secrets: true})
		var l, r []string
		in := false
		for _, row := range c.Rows {
			if row.Title {
				in = row.Left == "Content"
				continue
			}
			if !in || strings.HasPrefix(row.Left+row.Right, "(") {
				continue
			}
			if (row.Left == row.Right) != (row.Change == inspect.Same) && row.Change != inspect.Changed && row.Left+row.Right != "" {
				t.Fatalf("%+v", row)
			}
			if row.Change != inspect.Added {
				l = append(l, row.Left)
			}
			if row.Change != inspect.Removed {
				r = append(r, row.Right)
			}
		}
		for _, side := range []struct {
			x   *inspect.Exchange
			got []string
		}{{a, l}, {b, r}} {
			v := inspect.Read(side.x.Request.Heads.Response, &side.x.Content.Response, inspect.Look{Secrets: true})
			if !strings.Contains(left+right, "(") && fmt.Sprint(v.Lines) != fmt.Sprint(side.got) && len(v.Lines)+len(side.got) > 0 {
				t.Fatalf("%q became %q", v.Lines, side.got)
			}
		}
	})
}
