package tunnel

import (
	"bytes"
	"testing"

	"adit/engine/enginetest"
	"adit/engine/wire"
)

// Respond says on the wire what WriteResponse, Write and CloseWrite say: the
// head without END, then content with it. What can't be said at once it leaves
// alone.
func TestRespond(t *testing.T) {
	long := bytes.Repeat([]byte("x"), smallPiece+1)
	for _, tc := range []struct {
		name    string
		content []byte
		done    bool
	}{
		{"small", []byte("hello world\n"), true},
		{"as long as can be", long[1:], true},
		{"too long", long, false},
		{"no content", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			type result struct {
				done bool
				err  error
			}
			results := make(chan result, 1)
			p, session := hostileClient(t, Limits{}, func(in Incoming) {
				done, err := in.Respond(&wire.Response{Status: 200, Fields: []wire.Field{length(len(tc.content))}}, tc.content)
				results <- result{done, err}
				if done {
					if again, err := in.Respond(&wire.Response{Status: 200}, []byte("x")); again || err == nil {
						t.Error("a second response")
					}
					if _, err := in.Write([]byte("x")); err == nil {
						t.Error("content after the end")
					}
				}
			})
			if err := p.WriteMessage(enginetest.OpBinary, rec(1, true, 1, wire.AppendRequest(nil, get("/")))); err != nil {
				t.Fatal(err)
			}
			if got := <-results; got.done != tc.done || got.err != nil {
				t.Errorf("done %v, %v", got.done, got.err)
			}
			var all []wire.Record
			for len(all) == 0 || !all[len(all)-1].End && all[len(all)-1].Type != wire.TypeReset {
				all = append(all, readRecords(t, p)...)
			}
			switch {
			case !tc.done:
				if len(all) != 1 || all[0].Type != wire.TypeReset {
					t.Errorf("got %+v", all)
				}
			case len(all) != 2 || all[0].Type != wire.TypeResponse || all[0].End || all[1].Type != wire.TypeData || !bytes.Equal(all[1].Payload, tc.content):
				t.Errorf("got %+v", all)
			}
			_ = p.Conn.Close()
			<-session.Done()
		})
	}
}
