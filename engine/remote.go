package engine

import "time"

// A Link is the state of the way to an engine in another process.
type Link struct {
	Address   string        // as it was given, without credentials
	Name      string        // who this operator is there: "root", or the name of a token
	ReadOnly  bool          // what was admitted may only look
	Attached  int           // operators that are attached, this one included; 0 unknown
	Since     time.Time     // when the state that follows began
	Lost      bool          // no data comes; what a snapshot says is of LastData
	LastData  time.Time     // of when the newest data is: when it came, or before by Delay; zero never
	Delay     time.Duration // how much later than usual data comes, because the way is slow; 0 below 1 s
	Cause     string        // Lost: why
	Attempt   int           // Lost: tries so far
	RetryAt   time.Time     // Lost: when the next one begins
	Stuck     bool          // Lost: many tries failed, or the other end refuses; trying goes on
	Instance  string        // of the process at the other end: another one counts anew
	Restarts  int           // how often Instance changed
	Gaps      int           // how often data was lost and came back
	Skew      time.Duration // of the other end's clock against this one, about
	RoundTrip time.Duration // of the newest question; 0 unknown
	Notice    string        // one sentence that is worth showing once: fields that this version does not know; "" none
}

// A Linked is an [Engine] in another process. While the link is lost Snapshot
// returns what was last known and no error, and actions fail with [ErrLost].
// Subscriptions go on: what was missed meanwhile counts as dropped. Link and
// Retry do not wait: a dashboard calls them between two keys.
type Linked interface {
	Engine
	Link() Link
	Retry() // now, instead of waiting for the next try
}

// A Playback is the state of a recording that is being shown.
type Playback struct {
	From, To time.Time // what the recording covers
	At       time.Time // what is shown now
	Speed    float64   // 1 as it was; 0 is never
	Paused   bool
	Path     string
}

// A Player is an [Engine] that shows what was recorded, as it was at a moment
// that moves on. Actions fail with [ErrRecorded]. Playback, Pause, Seek and
// SetSpeed do not wait for the database: a dashboard calls them between two keys.
type Player interface {
	Engine
	Playback() Playback
	Pause(paused bool)
	Seek(at time.Time)      // bounded to what the recording covers
	SetSpeed(speed float64) // bounded to 1/16 … 3600
}
