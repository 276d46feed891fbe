package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"adit/engine"
)

// What comes over a link is hostile: everything is bounded, and what is not
// understood is left out. Members that are not there leave what was known.

// clock reads a time; "" is the zero time.
func clock(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: want RFC 3339", engine.Bound(s))
	}
	return t.Local(), nil
}

func micros(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	return time.Duration(min(max(n, -most), most)) * time.Microsecond
}

// since reads a duration that may be unknown.
func since(n *int64) time.Duration {
	if n == nil {
		return -1
	}
	return micros(*n)
}

func setText(into *string, s *string) {
	if s != nil {
		*into = engine.Bound(*s)
	}
}

func set[T any](into *T, v *T) {
	if v != nil {
		*into = *v
	}
}

func setCount[T int | int64](into *T, v *T) {
	if v != nil {
		*into = max(*v, 0)
	}
}

func setMicros(into *time.Duration, v *int64) {
	if v != nil {
		*into = max(micros(*v), 0)
	}
}

func setTime(into *time.Time, s *string) error {
	if s == nil {
		return nil
	}
	t, err := clock(*s)
	*into = t
	return err
}

func texts(list []string, most int) []string {
	out := make([]string, 0, min(len(list), most))
	for _, s := range list[:min(len(list), most)] {
		out = append(out, engine.Bound(s))
	}
	return out
}

// wireBytes is a text that may not be UTF-8.
func wireBytes(text string, data []byte, most int) string {
	if data != nil {
		text = string(data)
	}
	if len(text) > most {
		text = text[:most]
	}
	return text
}

type wireFrames struct {
	Text         *uint64 `json:"text"`
	Binary       *uint64 `json:"binary"`
	Continuation *uint64 `json:"continuation"`
	Close        *uint64 `json:"close"`
	Ping         *uint64 `json:"ping"`
	Pong         *uint64 `json:"pong"`
}

func (w *wireFrames) patch(f *engine.Frames) {
	if w == nil {
		return
	}
	set(&f.Text, w.Text)
	set(&f.Binary, w.Binary)
	set(&f.Continuation, w.Continuation)
	set(&f.Close, w.Close)
	set(&f.Ping, w.Ping)
	set(&f.Pong, w.Pong)
}

type wireShape struct {
	Sizes      *[4]uint64 `json:"sizes"`
	Fragmented *uint64    `json:"fragmented"`
	LastOpcode *uint8     `json:"last_opcode"`
	LastLength *uint64    `json:"last_length"`
}

func (w *wireShape) patch(s *engine.FrameShape) {
	if w == nil {
		return
	}
	set(&s.Sizes, w.Sizes)
	set(&s.Fragmented, w.Fragmented)
	set(&s.LastOpcode, w.LastOpcode)
	set(&s.LastLength, w.LastLength)
}

type wireExpose struct {
	Host string `json:"host"`
	TCP  uint16 `json:"tcp"`
	URL  string `json:"url"`
}

// maxExposed bounds what one greeting or snapshot says of routes.
const maxExposed = 1024

func exposes(list []wireExpose) []engine.Expose {
	list = list[:min(len(list), maxExposed)]
	out := make([]engine.Expose, 0, len(list))
	for _, x := range list {
		out = append(out, engine.Expose{Host: engine.Bound(x.Host), TCP: x.TCP, URL: engine.Bound(x.URL)})
	}
	return out
}

// A wireGreeting is also part of an event.
type wireGreeting struct {
	ID          string            `json:"id"`
	PoolSize    int               `json:"pool_size"`
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

const (
	maxLabels = 256
	maxRaw    = 1 << 10
)

func (w *wireGreeting) greeting() *engine.Greeting {
	g := &engine.Greeting{
		ID: engine.Bound(w.ID), PoolSize: w.PoolSize, Version: engine.Bound(w.Version), Hostname: engine.Bound(w.Hostname),
		OS: engine.Bound(w.OS), Arch: engine.Bound(w.Arch), Instance: engine.Bound(w.Instance),
		ExposedOnly: w.ExposedOnly, Raw: wireBytes(w.Raw, w.RawBytes, maxRaw), Size: w.Size,
	}
	if len(w.Expose) > 0 {
		g.Expose = exposes(w.Expose)
	}
	if len(w.Labels) > 0 {
		g.Labels = make(map[string]string, min(len(w.Labels), maxLabels))
		for _, name := range sortedNames(w.Labels)[:min(len(w.Labels), maxLabels)] {
			g.Labels[engine.Bound(name)] = engine.Bound(w.Labels[name])
		}
	}
	return g
}

type wireConnection struct {
	ID          string        `json:"conn"`
	Client      *string       `json:"client"`
	Peer        *string       `json:"peer"`
	Server      *string       `json:"server"`
	Protocol    *string       `json:"protocol"`
	State       *string       `json:"state"`
	Opened      *string       `json:"opened"`
	Greeting    *wireGreeting `json:"greeting"`
	BytesIn     *uint64       `json:"bytes_in"`
	BytesOut    *uint64       `json:"bytes_out"`
	FramesIn    *wireFrames   `json:"frames_in"`
	FramesOut   *wireFrames   `json:"frames_out"`
	ShapeIn     *wireShape    `json:"shape_in"`
	ShapeOut    *wireShape    `json:"shape_out"`
	InFlight    *int          `json:"in_flight"`
	Exchanges   *uint64       `json:"exchanges"`
	Failed      *uint64       `json:"failed"`
	RTT         *int64        `json:"rtt_us"`
	RTTMin      *int64        `json:"rtt_min_us"`
	LateRecords *uint64       `json:"late_records"`
	Registered  *string       `json:"registered"`
	PingEvery   *int64        `json:"ping_every_us"`
	PingNext    *string       `json:"ping_next"`
	Credential  *string       `json:"credential"`
	TLSVersion  *string       `json:"tls_version"`
	TLSCipher   *string       `json:"tls_cipher"`
	TLSPeer     *string       `json:"tls_peer"`
}

// patch changes what was known of a connection.
func (w *wireConnection) patch(c *engine.Connection) error {
	setText(&c.Client, w.Client)
	setText(&c.Peer, w.Peer)
	setText(&c.Server, w.Server)
	if w.Protocol != nil {
		c.Protocol = protocolNamed(*w.Protocol)
	}
	if w.State != nil {
		c.State = stateNamed(*w.State)
	}
	if w.Greeting != nil {
		c.Greeting = w.Greeting.greeting()
	}
	set(&c.BytesIn, w.BytesIn)
	set(&c.BytesOut, w.BytesOut)
	w.FramesIn.patch(&c.FramesIn)
	w.FramesOut.patch(&c.FramesOut)
	w.ShapeIn.patch(&c.ShapeIn)
	w.ShapeOut.patch(&c.ShapeOut)
	setCount(&c.InFlight, w.InFlight)
	set(&c.Exchanges, w.Exchanges)
	set(&c.Failed, w.Failed)
	setMicros(&c.RTT, w.RTT)
	setMicros(&c.RTTMin, w.RTTMin)
	set(&c.LateRecords, w.LateRecords)
	setMicros(&c.PingEvery, w.PingEvery)
	setText(&c.Credential, w.Credential)
	setText(&c.TLS.Version, w.TLSVersion)
	setText(&c.TLS.Cipher, w.TLSCipher)
	setText(&c.TLS.Peer, w.TLSPeer)
	return errors.Join(setTime(&c.Opened, w.Opened), setTime(&c.GreetingReady, w.Registered), setTime(&c.PingNext, w.PingNext))
}

type wireServer struct {
	URL       string `json:"server"`
	Name      string `json:"name"`
	Through   string `json:"through"`
	Connected int    `json:"connected"`
	Wanted    int    `json:"wanted"`
	RetryAt   string `json:"retry_at"`
	LastError string `json:"last_error"`
}

type wireClose struct {
	Code  engine.CloseCode `json:"code"`
	Count uint64           `json:"count"`
}

type wireTotals struct {
	Requests  *uint64     `json:"requests"`
	Failed    *uint64     `json:"failed"`
	BytesIn   *uint64     `json:"bytes_in"`
	BytesOut  *uint64     `json:"bytes_out"`
	FramesIn  *wireFrames `json:"frames_in"`
	FramesOut *wireFrames `json:"frames_out"`
	Statuses  *[6]uint64  `json:"statuses"`
}

func (w *wireTotals) patch(t *engine.Totals) {
	if w == nil {
		return
	}
	set(&t.Requests, w.Requests)
	set(&t.Failed, w.Failed)
	set(&t.BytesIn, w.BytesIn)
	set(&t.BytesOut, w.BytesOut)
	w.FramesIn.patch(&t.FramesIn)
	w.FramesOut.patch(&t.FramesOut)
	set(&t.Statuses, w.Statuses)
}

type wireLimit struct {
	Limit string `json:"limit"`
	Count uint64 `json:"count"`
}

type wireCapture struct {
	Mode     string   `json:"mode"`
	Content  []string `json:"content"`
	Bytes    int64    `json:"bytes"`
	Limit    int64    `json:"limit"`
	Sampling int      `json:"sampling"`
	Dropped  uint64   `json:"dropped"`
}

// A wireDelta changes a snapshot.
type wireDelta struct {
	Full        bool             `json:"full"`
	More        bool             `json:"more"`
	Seq         *uint64          `json:"seq"`
	Time        *string          `json:"time"`
	Role        *string          `json:"role"`
	Name        *string          `json:"name"`
	Instance    *string          `json:"instance"`
	Version     *string          `json:"version"`
	Started     *string          `json:"started"`
	Draining    *bool            `json:"draining"`
	Listen      *[]string        `json:"listen"`
	Servers     *[]wireServer    `json:"servers"`
	Expose      *[]wireExpose    `json:"expose"`
	Banned      *[]string        `json:"banned"`
	Waiting     *int             `json:"waiting"`
	Closes      *[]wireClose     `json:"closes"`
	Limits      *[]wireLimit     `json:"limits"`
	Totals      *wireTotals      `json:"totals"`
	Capture     *wireCapture     `json:"capture"`
	Attached    *int             `json:"attached"`
	Elapsed     int64            `json:"elapsed_us"` // since the stream began, when this was so; 0 unknown
	Connections []wireConnection `json:"connections"`
	Removed     []string         `json:"removed"`
}

// Bounds of what a link may make us keep.
const (
	maxKnown  = 100_000 // connections
	maxListed = 65_536  // of whatever else a snapshot lists
)

// patch changes what was known. A snapshot that it fails at is of no use.
func (w *wireDelta) patch(s *engine.Snapshot) error {
	if w.Full {
		*s = engine.Snapshot{Connections: s.Connections[:0]}
	}
	set(&s.Seq, w.Seq)
	if w.Role != nil {
		s.Role = roleNamed(*w.Role)
	}
	setText(&s.Name, w.Name)
	setText(&s.Instance, w.Instance)
	setText(&s.Version, w.Version)
	set(&s.Draining, w.Draining)
	if w.Listen != nil {
		s.Listen = texts(*w.Listen, maxListed)
	}
	if w.Banned != nil {
		s.Banned = texts(*w.Banned, maxListed)
	}
	if w.Expose != nil {
		s.Expose = exposes(*w.Expose)
	}
	setCount(&s.Waiting, w.Waiting)
	if w.Closes != nil {
		s.Closes = make([]engine.CloseCount, 0, min(len(*w.Closes), maxListed))
		for _, c := range (*w.Closes)[:min(len(*w.Closes), maxListed)] {
			s.Closes = append(s.Closes, engine.CloseCount{Code: c.Code, Count: c.Count})
		}
	}
	if w.Limits != nil {
		s.Limits = make([]engine.LimitCount, 0, min(len(*w.Limits), maxListed))
		for _, x := range (*w.Limits)[:min(len(*w.Limits), maxListed)] {
			s.Limits = append(s.Limits, engine.LimitCount{Name: engine.Bound(x.Limit), Count: x.Count})
		}
	}
	w.Totals.patch(&s.Totals)
	if c := w.Capture; c != nil {
		s.Capture = engine.CaptureState{
			Capture: engine.Capture{Mode: modeNamed(c.Mode)},
			Bytes:   max(c.Bytes, 0), Limit: max(c.Limit, 0), Sampling: max(c.Sampling, 0), Dropped: c.Dropped,
		}
		for _, text := range c.Content[:min(len(c.Content), engine.MaxCaptureFilters)] {
			s.Capture.Content = append(s.Capture.Content, text[:min(len(text), maxBody)])
		}
	}
	if err := errors.Join(setTime(&s.Time, w.Time), setTime(&s.Started, w.Started), w.patchServers(s)); err != nil {
		return err
	}
	return w.patchConnections(s)
}

func (w *wireDelta) patchServers(s *engine.Snapshot) error {
	if w.Servers == nil {
		return nil
	}
	s.Servers = make([]engine.Server, 0, min(len(*w.Servers), maxExposed))
	for _, x := range (*w.Servers)[:min(len(*w.Servers), maxExposed)] {
		at, err := clock(x.RetryAt)
		if err != nil {
			return err
		}
		s.Servers = append(s.Servers, engine.Server{URL: engine.Bound(x.URL), Name: engine.Bound(x.Name), Through: engine.Bound(x.Through),
			Connected: max(x.Connected, 0), Wanted: max(x.Wanted, 0), RetryAt: at, LastError: engine.Bound(x.LastError)})
	}
	return nil
}

// patchConnections keeps the order, whatever order changes come in.
func (w *wireDelta) patchConnections(s *engine.Snapshot) error {
	if len(w.Removed) > 0 {
		gone := make(map[engine.ConnectionID]bool, len(w.Removed))
		for _, text := range w.Removed {
			id, err := engine.ParseConnectionID(text)
			if err != nil {
				return err
			}
			gone[id] = true
		}
		s.Connections = slices.DeleteFunc(s.Connections, func(c engine.Connection) bool { return gone[c.ID] })
	}
	known, ordered := len(s.Connections), true
	for i := range w.Connections {
		x := &w.Connections[i]
		id, err := engine.ParseConnectionID(x.ID)
		if err != nil {
			return err
		}
		old := engine.Snapshot{Connections: s.Connections[:known]}
		at := old.Index(id)
		if at < 0 {
			if at = len(s.Connections); at >= maxKnown {
				return fmt.Errorf("more than %d connections", maxKnown)
			}
			ordered = ordered && (at == 0 || s.Connections[at-1].ID < id)
			s.Connections = append(s.Connections, engine.Connection{ID: id})
		}
		if err := x.patch(&s.Connections[at]); err != nil {
			return err
		}
	}
	if !ordered {
		slices.SortStableFunc(s.Connections, func(a, b engine.Connection) int {
			switch {
			case a.ID < b.ID:
				return -1
			case a.ID > b.ID:
				return 1
			}
			return 0
		})
		s.Connections = slices.CompactFunc(s.Connections, func(a, b engine.Connection) bool { return a.ID == b.ID })
	}
	return nil
}

// DecodeSnapshot reads what AppendSnapshot wrote.
func DecodeSnapshot(b []byte, into *engine.Snapshot) error {
	var w wireDelta
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	w.Full = true
	return w.patch(into)
}
