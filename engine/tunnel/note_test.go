package tunnel

import (
	"testing"

	"adit/engine"
	"adit/engine/wire"
)

func TestNoteSaysWhatAFrameCarries(t *testing.T) {
	data := string(wire.AppendRecordHeader(nil, wire.TypeData, false, 17, 3))
	const native, classic = engine.ProtocolNative, engine.ProtocolClassic
	for _, tt := range []struct {
		protocol engine.Protocol
		server   bool
		f        engine.FrameRecord
		first    string
		nth      uint64
		want     string
	}{
		{0, true, engine.FrameRecord{Opcode: opText}, "secret", 1, "greeting"},
		{0, true, engine.FrameRecord{Opcode: opBinary, Length: 7}, data + "abc", 1, ""},
		{native, true, engine.FrameRecord{Opcode: opText, Out: true}, "{", 1, "welcome"},
		{native, false, engine.FrameRecord{Opcode: opText}, "{", 1, "welcome"},
		{native, false, engine.FrameRecord{Opcode: opText, Out: true}, "{", 1, "greeting"},
		{native, true, engine.FrameRecord{Opcode: opText}, "{", 2, ""},
		{native, true, engine.FrameRecord{Opcode: opBinary, Length: 7}, data + "abc", 1, "DATA x17"},
		{native, true, engine.FrameRecord{Opcode: opBinary, Length: 9}, data + "abc", 1, "DATA x17, more"},
		{native, true, engine.FrameRecord{Opcode: opBinary, Length: 3}, "\x03\x01\x11\x00", 1, "DATA x17 END"},
		{native, true, engine.FrameRecord{Opcode: opBinary, Length: 3}, "abc", 1, ""},
		{native, true, engine.FrameRecord{Opcode: opContinuation}, data, 1, "continued"},
		{classic, true, engine.FrameRecord{Opcode: opText}, "edge_1", 1, "greeting"},
		{classic, true, engine.FrameRecord{Opcode: opText}, "{", 2, "response head"},
		{classic, true, engine.FrameRecord{Opcode: opText, Out: true}, "{", 1, "request head"},
		{classic, false, engine.FrameRecord{Opcode: opText}, "{", 1, "request head"},
		{classic, false, engine.FrameRecord{Opcode: opBinary, Out: true}, data, 1, "response content"},
		{classic, false, engine.FrameRecord{Opcode: opContinuation}, data, 1, "request content"},
		{native, true, engine.FrameRecord{Opcode: opClose}, "\x03\xe9bye", 1, "1001 going away"},
		{native, true, engine.FrameRecord{Opcode: opClose}, "\x0f\x9f", 1, "3999"},
		{native, true, engine.FrameRecord{Opcode: opClose}, "", 1, ""},
		{native, true, engine.FrameRecord{Opcode: opPing}, data, 1, ""},
		{classic, true, engine.FrameRecord{Opcode: opPong}, "4", 1, ""},
	} {
		if got := Note(tt.protocol, tt.server, &tt.f, []byte(tt.first), tt.nth); got != tt.want {
			t.Errorf("%v, server %v, %+v, %q: %q, want %q", tt.protocol, tt.server, tt.f, tt.first, got, tt.want)
		}
	}
}
