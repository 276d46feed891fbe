package tunnel

import (
	"bytes"
	"io"
	"testing"

	"adit/engine"
	"adit/engine/enginetest"
)

// clientSays is the bytes of an answer as a client writes it.
func clientSays(frames ...enginetest.Frame) []byte {
	var b []byte
	for _, f := range frames {
		f.Masked = true
		b = enginetest.AppendFrame(b, f)
	}
	return b
}

// FuzzClassicAnswer gives our server any bytes in place of an answer. What it
// takes for a whole response must be one for a second parser too.
func FuzzClassicAnswer(f *testing.F) {
	text := func(s string) enginetest.Frame {
		return enginetest.Frame{Fin: true, Opcode: opText, Payload: []byte(s)}
	}
	f.Add(clientSays(text(ok200), enginetest.Frame{Fin: true, Opcode: opBinary, Payload: []byte("ok")}))
	f.Add(clientSays(text(`{"StatusCode":200,"ContentLength":-1}`), enginetest.Frame{Opcode: opBinary, Payload: []byte("o")},
		enginetest.Frame{Fin: true, Opcode: opPing}, enginetest.Frame{Fin: true, Payload: []byte("k")}))
	f.Add(clientSays(text(`{"StatusCode":527,"Header":{},"ContentLength":2}`), enginetest.Frame{Fin: true, Opcode: opBinary, Payload: []byte("no")}))
	f.Add(clientSays(text(ok200), text(ok200)))
	f.Add(clientSays(enginetest.Frame{Fin: true, Opcode: opClose, Payload: []byte{3, 232}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > enginetest.PipeBuffer/2 {
			return
		}
		c, peer := served(t, classicOptions{})
		x := opened(t, c, t.Context(), ask("GET", "/"), true)
		heardRequest(t, peer)
		if err := peer.WriteRaw(raw); err != nil {
			t.Fatal(err)
		}
		_ = peer.Conn.(*enginetest.Conn).CloseWrite()
		_, err := x.ReadResponse()
		var got []byte
		if err == nil {
			got, err = readAll(x)
		}
		x.Close()
		if err != nil {
			if reason := engine.ReasonOf(err); reason != engine.ReasonTunnelFailed && reason != engine.ReasonOriginFailed {
				t.Fatalf("fails with %v", err)
			}
		} else if want, ok := secondOpinion(t, raw); !ok || !bytes.Equal(got, want) {
			t.Fatalf("took %q for whole, second opinion %q, %v", got, want, ok)
		}
		_, _ = io.Copy(io.Discard, peer.Conn)
		_ = peer.Conn.Close()
		<-c.Done()
	})
}

// secondOpinion reads an answer with the test peer's parser.
func secondOpinion(t *testing.T, raw []byte) ([]byte, bool) {
	near, far := enginetest.Pipe()
	defer near.Close()
	if _, err := far.Write(raw); err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	_ = far.CloseWrite()
	p := enginetest.NewServerPeer(near)
	for _, want := range []byte{opText, opBinary} {
		opcode, payload, err := p.ReadMessage()
		if err != nil || opcode != want {
			return nil, false
		}
		if want == opBinary {
			return payload, true
		}
	}
	return nil, false
}
