package control

import (
	"encoding/json"
	"errors"
	"math"
	"time"

	"adit/engine"
)

type wireHeads struct {
	Request       string `json:"request"`
	RequestBytes  []byte `json:"request_base64"`
	Response      string `json:"response"`
	ResponseBytes []byte `json:"response_base64"`
	Cut           bool   `json:"cut"`
}

func (w *wireHeads) heads() *engine.Heads {
	if w == nil {
		return nil
	}
	return &engine.Heads{
		Request:  wireBytes(w.Request, w.RequestBytes, engine.MaxHead),
		Response: wireBytes(w.Response, w.ResponseBytes, engine.MaxHead),
		Cut:      w.Cut,
	}
}

// A wireRecord is a record, alone or as an event.
type wireRecord struct {
	ID            string     `json:"id"` // of an event of a greeting: the client's
	Connection    string     `json:"conn"`
	Client        string     `json:"client"`
	Protocol      string     `json:"protocol"`
	Reason        string     `json:"reason"`
	Way           string     `json:"way"`
	Caller        string     `json:"caller"`
	Credential    string     `json:"credential"`
	Method        string     `json:"method"`
	Target        string     `json:"target"`
	Arrived       string     `json:"arrived"`
	Status        int        `json:"status"`
	RequestBytes  int64      `json:"request_bytes"`
	ResponseBytes int64      `json:"response_bytes"`
	Queued        *int64     `json:"queued_us"`
	Sent          *int64     `json:"sent_us"`
	Connect       *int64     `json:"connect_us"`
	FirstByte     *int64     `json:"first_byte_us"`
	LastByte      *int64     `json:"last_byte_us"`
	Outcome       string     `json:"outcome"`
	Upgraded      bool       `json:"upgraded"`
	Replay        bool       `json:"replay"`
	Heads         *wireHeads `json:"heads"`
}

// connectionOf reads an id that may not be there.
func connectionOf(s string) (engine.ConnectionID, error) {
	if s == "" {
		return 0, nil
	}
	return engine.ParseConnectionID(s)
}

func requestOf(s string) (engine.RequestID, error) {
	if s == "" {
		return 0, nil
	}
	return engine.ParseRequestID(s)
}

func (w *wireRecord) request() (engine.Request, error) {
	id, err1 := requestOf(w.ID)
	connection, err2 := connectionOf(w.Connection)
	arrived, err3 := clock(w.Arrived)
	return engine.Request{
		ID: id, Connection: connection, Client: engine.Bound(w.Client), Caller: engine.Bound(w.Caller), Credential: engine.Bound(w.Credential),
		Way: wayNamed(w.Way), Protocol: protocolNamed(w.Protocol),
		Method: engine.Bound(w.Method), Target: engine.Bound(w.Target), Status: min(max(w.Status, 0), 999), Upgraded: w.Upgraded,
		RequestBytes: max(w.RequestBytes, 0), ResponseBytes: max(w.ResponseBytes, 0),
		Arrived: arrived, Queued: since(w.Queued), Sent: since(w.Sent), Connect: since(w.Connect),
		FirstByte: since(w.FirstByte), LastByte: since(w.LastByte),
		Outcome: outcomeNamed(w.Outcome), Reason: engine.Bound(w.Reason), Replay: w.Replay, Heads: w.Heads.heads(),
	}, errors.Join(err1, err2, err3)
}

// DecodeRecord reads one record.
func DecodeRecord(b []byte) (engine.Request, error) {
	var w wireRecord
	if err := json.Unmarshal(b, &w); err != nil {
		return engine.Request{}, err
	}
	return w.request()
}

// A wireEvent is one event. Its embedded parts share names with it: what one
// means follows from the kind.
type wireEvent struct {
	wireRecord
	Kind     string `json:"kind"`
	Time     string `json:"time"`
	Seq      uint64 `json:"seq"`
	Key      uint64 `json:"key"`
	Peer     string `json:"peer"`
	Text     string `json:"text"`
	Listen   string `json:"listen"`
	Server   string `json:"server"`
	Code     uint16 `json:"code"`
	Action   string `json:"action"`
	Operator string `json:"operator"`

	Duration  int64       `json:"duration_us"`
	Retry     int64       `json:"retry_us"`
	Uptime    int64       `json:"uptime_us"`
	Exchanges int         `json:"exchanges"`
	Count     uint64      `json:"count"` // dropped; limit_reached, admission_refused
	Within    int64       `json:"within_us"`
	Limit     string      `json:"limit"`
	Requests  uint64      `json:"requests"`
	Failed    uint64      `json:"failed"`
	BytesIn   *uint64     `json:"bytes_in"`
	BytesOut  uint64      `json:"bytes_out"`
	FramesIn  *wireFrames `json:"frames_in"`
	FramesOut *wireFrames `json:"frames_out"`
	Statuses  [6]uint64   `json:"statuses"`

	// Those of a greeting but for id.
	PoolSize    *int              `json:"pool_size"`
	Version     string            `json:"version"`
	Hostname    string            `json:"hostname"`
	Labels      map[string]string `json:"labels"`
	Expose      []wireExpose      `json:"expose"`
	OS          string            `json:"os"`
	Arch        string            `json:"arch"`
	Instance    string            `json:"instance"`
	ExposedOnly bool              `json:"exposed_only"`
	Raw         string            `json:"raw"`
	RawBytes    []byte            `json:"raw_base64"`
	Size        int               `json:"size"`
}

func (w *wireEvent) greeting() *engine.Greeting {
	if w.PoolSize == nil {
		return nil
	}
	g := wireGreeting{ID: w.ID, PoolSize: *w.PoolSize, Version: w.Version, Hostname: w.Hostname, Labels: w.Labels, Expose: w.Expose,
		OS: w.OS, Arch: w.Arch, Instance: w.Instance, ExposedOnly: w.ExposedOnly, Raw: w.Raw, RawBytes: w.RawBytes, Size: w.Size}
	return g.greeting()
}

func (w *wireEvent) traffic() engine.Traffic {
	t := engine.Traffic{BytesOut: w.BytesOut}
	set(&t.BytesIn, w.BytesIn)
	w.FramesIn.patch(&t.FramesIn)
	w.FramesOut.patch(&t.FramesOut)
	return t
}

// event returns an event whose Kind is 0 where this version does not know it.
func (w *wireEvent) event() (engine.Event, error) {
	at, err1 := clock(w.Time)
	connection, err2 := connectionOf(w.Connection)
	e := engine.Event{
		Seq: w.Seq, Time: at, Kind: kindNamed(w.Kind), Connection: connection, Client: engine.Bound(w.Client),
		Peer: engine.Bound(w.Peer), Protocol: protocolNamed(w.Protocol), Reason: engine.Bound(w.Reason),
	}
	if err := errors.Join(err1, err2); err != nil {
		return e, err
	}
	switch e.Kind {
	case engine.KindReady:
		e.Listen, e.Server = engine.Bound(w.Listen), engine.Bound(w.Server)
	case engine.KindGreetingReceived, engine.KindGreetingRejected:
		e.Code, e.Greeting = w.Code, w.greeting()
	case engine.KindConnectionClosed:
		e.Code, e.Duration = w.Code, micros(w.Duration)
		if w.BytesIn != nil {
			t := w.traffic()
			e.Closed = &t
		}
	case engine.KindRequestStarted, engine.KindRequestFinished:
		r, err := w.request()
		if err != nil {
			return e, err
		}
		e.Request, e.Reason = &r, ""
	case engine.KindDialFailed:
		e.Server, e.Duration = engine.Bound(w.Server), micros(w.Retry)
	case engine.KindAdmissionRefused:
		e.Code, e.Way = uint16(min(max(w.Status, 0), 999)), wayNamed(w.Way)
		e.Count, e.Duration = int(min(max(w.Count, 1), math.MaxInt32)), micros(w.Within)
	case engine.KindOperatorAction:
		e.Action, e.Operator, e.Target = engine.Action(engine.Bound(w.Action)), engine.Bound(w.Operator), engine.Bound(w.Target)
	case engine.KindDraining:
		e.Count = max(w.Exchanges, 0)
	case engine.KindNotice:
		e.Reason = engine.Bound(w.Text)
	case engine.KindLimitReached:
		e.Target, e.Count = engine.Bound(w.Limit), int(min(w.Count, math.MaxInt32))
	case engine.KindStopped:
		e.Duration = micros(w.Uptime)
		if w.BytesIn != nil {
			t := w.traffic()
			e.Totals = &engine.Totals{Requests: w.Requests, Failed: w.Failed, BytesIn: t.BytesIn, BytesOut: t.BytesOut,
				FramesIn: t.FramesIn, FramesOut: t.FramesOut, Statuses: w.Statuses}
		}
	}
	return e, nil
}

// DecodeEvent reads one event; its Kind is 0 where this version does not know it,
// as that of the line of dropped events is.
func DecodeEvent(b []byte) (engine.Event, error) {
	var w wireEvent
	if err := json.Unmarshal(b, &w); err != nil {
		return engine.Event{}, err
	}
	return w.event()
}

type wirePage struct {
	Requests  []wireRecord `json:"requests"`
	Offset    int          `json:"offset"`
	Matched   int          `json:"matched"`
	Kept      int          `json:"kept"`
	Oldest    string       `json:"oldest"`
	Newest    string       `json:"newest"`
	After     int          `json:"after"`
	Stored    int          `json:"stored"`
	Searching bool         `json:"searching"`
	Cut       bool         `json:"cut"`
	Problem   string       `json:"problem"`
	Lost      uint64       `json:"lost"`
	Capacity  int          `json:"capacity"`
	Took      int64        `json:"took_us"`
}

func (w *wirePage) page(into *engine.RequestPage) error {
	records := into.Requests[:0]
	for i := range w.Requests[:min(len(w.Requests), maxPage)] {
		r, err := w.Requests[i].request()
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	oldest, err1 := requestOf(w.Oldest)
	newest, err2 := requestOf(w.Newest)
	*into = engine.RequestPage{
		Requests: records, Offset: max(w.Offset, 0), Matched: max(w.Matched, len(records)), Kept: max(w.Kept, 0),
		Oldest: oldest, Newest: newest, After: max(w.After, 0), Stored: max(w.Stored, 0), Searching: w.Searching, Cut: w.Cut,
		Problem: engine.Bound(w.Problem), Lost: w.Lost, Capacity: max(w.Capacity, 0),
		Took: time.Duration(min(max(w.Took, 0), math.MaxInt64/1000)) * time.Microsecond,
	}
	return errors.Join(err1, err2)
}

type wirePast struct {
	Events []wireEvent `json:"events"`
	More   bool        `json:"more"`
}

func (w *wirePast) page(into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0], More: w.More}
	for i := range w.Events[:min(len(w.Events), maxPage)] {
		e, err := w.Events[i].event()
		if err != nil {
			return err
		}
		if e.Kind != 0 {
			into.Events, into.Keys = append(into.Events, e), append(into.Keys, w.Events[i].Key)
		}
	}
	return nil
}

type wirePart struct {
	Data []byte `json:"data"`
	Size int64  `json:"size"`
	Over bool   `json:"over"`
}

func (w *wirePart) patch(p *engine.Part) {
	p.Data = append(p.Data[:0], w.Data[:min(len(w.Data), engine.MaxContent)]...)
	p.Size, p.Over = max(w.Size, int64(len(p.Data))), w.Over
}

type wireMessage struct {
	Time       string  `json:"time"`
	FromCaller bool    `json:"from_caller"`
	Type       string  `json:"type"`
	Compressed bool    `json:"compressed"`
	Text       *string `json:"text"`
	Data       []byte  `json:"data"`
	Size       int64   `json:"size"`
}

type wireContent struct {
	Request      wirePart      `json:"request"`
	Response     wirePart      `json:"response"`
	Messages     []wireMessage `json:"messages"`
	MessagesLost uint64        `json:"messages_lost"`
}

func (w *wireContent) content(into *engine.Content) error {
	w.Request.patch(&into.Request)
	w.Response.patch(&into.Response)
	into.MessagesLost = w.MessagesLost
	into.Messages = into.Messages[:0]
	for i := range w.Messages {
		m := &w.Messages[i]
		at, err := clock(m.Time)
		if err != nil {
			return err
		}
		data := m.Data
		if m.Text != nil {
			data = []byte(*m.Text)
		}
		data = data[:min(len(data), engine.MaxMessage)]
		into.Messages = append(into.Messages, engine.Message{Time: at, FromCaller: m.FromCaller, Kind: messageNamed(m.Type),
			Compressed: m.Compressed, Data: data, Size: max(m.Size, int64(len(data)))})
	}
	return nil
}

type wireTape struct {
	Frames []struct {
		Time   string `json:"time"`
		Out    bool   `json:"out"`
		Opcode uint8  `json:"opcode"`
		Fin    bool   `json:"fin"`
		Length uint64 `json:"length"`
		Note   string `json:"note"`
	} `json:"frames"`
}

// maxTape is what engine.Engine.FrameTape returns at most.
const maxTape = 64

func (w *wireTape) frames(into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	for _, f := range w.Frames[:min(len(w.Frames), maxTape)] {
		at, err := clock(f.Time)
		if err != nil {
			return into, err
		}
		into = append(into, engine.FrameRecord{Time: at, Out: f.Out, Opcode: f.Opcode & 15, Fin: f.Fin, Length: f.Length, Note: engine.Bound(f.Note)})
	}
	return into, nil
}

// A wireHello is the first line of a stream.
type wireHello struct {
	Name     string `json:"name"`
	Protocol struct {
		Major int `json:"major"`
		Minor int `json:"minor"`
	} `json:"protocol"`
	Version         string `json:"version"`
	Instance        string `json:"instance"`
	You             string `json:"you"`
	ReadOnly        bool   `json:"read_only"`
	Attached        int    `json:"attached"`
	Time            string `json:"time"`
	Seq             uint64 `json:"seq"`
	Missed          uint64 `json:"missed"`
	MissedLifecycle uint64 `json:"missed_lifecycle"`
}

func (w *wireHello) clock() time.Time {
	t, _ := clock(w.Time) // a time that can't be read is one that is not known
	return t
}

// A wireLine is one line of a stream.
type wireLine struct {
	Hello    *wireHello   `json:"hello"`
	Snapshot *wireDelta   `json:"snapshot"`
	Events   *[]wireEvent `json:"events"`
	Dropped  uint64       `json:"dropped"`
	End      *struct {
		Reason string `json:"reason"`
	} `json:"end"`
	Kind string `json:"kind"` // fell_behind
}
