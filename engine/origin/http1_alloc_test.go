//go:build !race

package origin

import (
	"context"
	"io"
	"testing"
	"time"
)

func TestSmallGETAllocations(t *testing.T) {
	s := newScript(t, lean(smallAnswer))
	tr := newTransport(t, Options{HeadTimeout: time.Minute})
	r := get(s.addr, "/index.html", usualFields()...)
	buf := make([]byte, 512)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := testing.AllocsPerRun(1000, func() {
		resp, err := tr.Send(ctx, r)
		for err == nil {
			_, err = resp.Content.Read(buf)
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		resp.Content.Close()
	})
	t.Logf("%v allocations", n)
	if n > 4 {
		t.Errorf("%v allocations", n)
	}
}
