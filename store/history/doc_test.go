package history

import (
	"context"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"
)

// schema returns the schema of a new database as doc.go has it.
func schema(t *testing.T) string {
	t.Helper()
	f := open(t, "", Options{})
	var all []string
	err := f.Read(context.Background(), func(db *sql.Conn) error {
		rows, err := db.QueryContext(context.Background(), "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")
		if err != nil {
			return err
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.Join(all, "\n"), "\n") {
		b.WriteString(strings.TrimRight("//\t"+line, " \t") + "\n")
	}
	return b.String()
}

// What doc.go says of the schema is what migrations make. ADIT_UPDATE=1 writes it.
func TestSchemaOtherThanDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), "//\tCREATE")
	if !ok {
		before, rest, ok = strings.Cut(string(data), "package history\n")
		rest = "package history\n" + rest
	}
	if !ok {
		t.Fatal("doc.go has no place for the schema")
	}
	want := schema(t)
	documented := "//\tCREATE" + strings.TrimSuffix(rest, "package history\n")
	if documented == want {
		return
	}
	if os.Getenv("ADIT_UPDATE") == "" {
		t.Fatalf("doc.go has another schema than migrations make; ADIT_UPDATE=1 go test -run %s ./store/history", t.Name())
	}
	if err := os.WriteFile("doc.go", []byte(before+want+"package history\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The columns of requests are called as in JSON (product.md), durations and sizes
// with their units.
func TestColumnsNotCalledAsInJSON(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"id", "way", "caller", "method", "target", "status", "request_bytes", "response_bytes", "queued_us", "sent_us", "connect_us",
		"first_byte_us", "last_byte_us", "outcome", "reason", "client", "conn", "protocol"} {
		if !slices.Contains(strings.Split(requestColumns, ", "), name) {
			t.Errorf("requests has no column %s", name)
		}
	}
	f := open(t, "", Options{})
	for _, view := range []string{"slow", "failures"} {
		last := f.Add(finished(4))
		settle(t, f, last)
		if n := count(t, f, "SELECT count(*) FROM "+view); n != 1 {
			t.Errorf("the view %s shows %d", view, n)
		}
	}
}
