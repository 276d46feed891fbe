package capture

import (
	"time"

	"adit/engine"
)

// Bounds of what is kept of the messages of one direction beside its beginning.
const (
	halfContent  = engine.MaxContent / 2
	maxMessages  = 1000
	messageCost  = 128 // bytes that keeping one costs beside its data, about
	onlyMessages = -1  // most of a direction whose bytes mean nothing by themselves
)

// A stream is the newest messages of one direction, and what finds them.
type stream struct {
	reader   reader
	most     int // bytes of data of messages
	bytes    int // of data of messages
	messages []engine.Message
	lost     uint64 // messages that went to make room

	// While take runs.
	now        time.Time
	fromCaller bool
	more       int64
}

// A reader finds messages in what passes.
type reader interface {
	// read takes in p and tells s of every message whose end is in it.
	read(p []byte, s *stream)
	// end tells s of what has begun and does not go on.
	end(s *stream)
	// held is how many bytes it keeps between calls.
	held() int
	// forget gives them up: of a message that comes nothing is kept but its size.
	forget()
}

// follow has the direction read as a stream, of which the first bytes are kept;
// of 0 none.
func (d *direction) follow(r reader, bytes int) {
	d.stream = &stream{reader: r, most: engine.MaxContent - bytes}
	if d.most = bytes; bytes == 0 || d.part.Size > int64(len(d.part.Data)) {
		d.most = onlyMessages // the beginning has passed
	}
}

// take reads p, or for nil the end, and returns by how many bytes what is kept
// grew.
func (s *stream) take(p []byte, fromCaller bool) int64 {
	held := s.reader.held()
	s.now, s.fromCaller, s.more = time.Time{}, fromCaller, 0
	if p != nil {
		s.reader.read(p, s)
	} else {
		s.reader.end(s)
	}
	return s.more + int64(s.reader.held()-held)
}

// add keeps a message, of which data is the beginning, and drops older ones
// where there is no room.
func (s *stream) add(kind engine.MessageKind, compressed bool, data []byte, size int64) {
	if s.now.IsZero() {
		s.now = time.Now()
	}
	for len(s.messages) > 0 && (len(s.messages) >= maxMessages || s.bytes+len(data) > s.most) {
		old := &s.messages[0]
		s.bytes -= len(old.Data)
		s.more -= int64(len(old.Data)) + messageCost
		old.Data = nil
		s.messages = s.messages[1:]
		s.lost++
	}
	s.messages = append(s.messages, engine.Message{Time: s.now, FromCaller: s.fromCaller, Kind: kind,
		Compressed: compressed, Data: append([]byte(nil), data...), Size: size})
	s.bytes += len(data)
	s.more += int64(len(data)) + messageCost
}

func (s *stream) list() []engine.Message {
	if s == nil {
		return nil
	}
	return s.messages
}

func (s *stream) dropped() uint64 {
	if s == nil {
		return 0
	}
	return s.lost
}

// pieces reads a protocol that is not known: a message is what came at once.
type pieces struct{}

func (pieces) held() int   { return 0 }
func (pieces) forget()     {}
func (pieces) end(*stream) {}

func (pieces) read(p []byte, s *stream) {
	s.add(engine.MessageBytes, false, p[:min(len(p), engine.MaxMessage)], int64(len(p)))
}
