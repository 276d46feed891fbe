package tunnel

import (
	"encoding/binary"
	"strconv"

	"adit/engine"
	"adit/engine/wire"
)

// Note says what a frame carries, for the tapes of [adit/engine/frame]: the first
// record of a native message, which part of a message of wsp, the code of a
// Close. protocol may be 0, unknown; server says which end this is. Content is
// never looked at.
func Note(protocol engine.Protocol, server bool, f *engine.FrameRecord, first []byte, nth uint64) string {
	fromClient := f.Out != server
	switch f.Opcode {
	case opClose:
		if len(first) < 2 {
			return ""
		}
		code := engine.CloseCode(binary.BigEndian.Uint16(first))
		text := strconv.FormatUint(uint64(code), 10)
		if words := code.Text(); words != "" {
			text += " " + words
		}
		return text
	case opPing, opPong:
		return ""
	case opText:
		if nth == 1 && fromClient {
			return "greeting"
		}
	}
	switch protocol {
	case engine.ProtocolNative:
		return noteNative(f, first, nth)
	case engine.ProtocolClassic:
		what := "response "
		if !fromClient {
			what = "request "
		}
		if f.Opcode == opText {
			return what + "head"
		}
		return what + "content"
	}
	return ""
}

func noteNative(f *engine.FrameRecord, first []byte, nth uint64) string {
	switch f.Opcode {
	case opText:
		if nth == 1 {
			return "welcome"
		}
		return ""
	case opContinuation:
		return "continued"
	}
	r, size, ok := wire.PeekRecord(first)
	if !ok {
		return ""
	}
	b := append(make([]byte, 0, 32), r.Type.String()...)
	b = strconv.AppendUint(append(b, " x"...), r.Exchange, 10)
	if r.End {
		b = append(b, " END"...)
	}
	if size < f.Length {
		b = append(b, ", more"...)
	}
	return string(b)
}
