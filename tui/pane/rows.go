package pane

import "adit/engine"

// Rows are the connections of a frame grouped by client, as every screen shows
// and counts them. (At a client, by server.)
type Rows struct {
	Clients []Client // in order of name
}

// A Client is everything that is known of one client id.
type Client struct {
	Name        string
	Connections []int // indices into Snapshot.Connections, in order
	Busy        int
	InFlight    int
	Oldest      int     // index of the connection that is open longest
	RTT         float64 // ms, mean of its connections; 0 unknown
	BytesIn     float64 // per second, as those below
	BytesOut    float64
	Requests    float64
	Failed      float64   // share; -1 unknown
	In, Out     []float32 // history of the sum, bytes per second; -1 unknown
}

// Update groups s anew; m is the meter that has seen s.
func (r *Rows) Update(s *engine.Snapshot) {}
