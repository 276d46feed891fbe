package engine

import "time"

// A Role says which end of the tunnel an engine is.
type Role uint8

const (
	RoleServer Role = iota + 1
	RoleClient
)

var roleNames = [...]string{"", "server", "client"}

func (r Role) String() string { return nameOf(roleNames[:], int(r)) }

// A ConnectionState is where a WebSocket is in its life.
type ConnectionState uint8

const (
	StateGreeting ConnectionState = iota + 1 // opened, not registered yet
	StateIdle                                // registered, no exchange
	StateBusy                                // at least one exchange
	StateDraining                            // no new exchange
	StateClosing                             // closing handshake
)

var stateNames = [...]string{"", "greeting", "idle", "busy", "draining", "closing"}

func (s ConnectionState) String() string { return nameOf(stateNames[:], int(s)) }

// A Connection is one WebSocket as it is now.
type Connection struct {
	ID       ConnectionID
	Client   string // client id
	Peer     string // address
	Server   string // at a client: the server's URL without user information
	Protocol Protocol
	State    ConnectionState
	Opened   time.Time
	Greeting *Greeting // nil before the greeting
	Traffic
	InFlight      int           // exchanges
	Exchanges     uint64        // that ended
	RTT           time.Duration // of the newest answered ping; 0 unknown
	RTTMin        time.Duration // smallest so far; 0 unknown
	LateRecords   uint64        // records dropped because their exchange was over
	GreetingReady time.Time     // when registered; zero before
}

// A Server is one server as a client sees it.
type Server struct {
	URL       string // without user information
	Name      string // as the server says in its welcome; "" in classic mode
	Connected int    // registered connections
	Wanted    int    // connections the pool holds
	RetryAt   time.Time
	LastError string
}

// A Snapshot is the state of an engine at one moment: totals, no rates.
// [Engine.Snapshot] reuses its slices.
type Snapshot struct {
	Seq         uint64 // the newest event that it includes
	Time        time.Time
	Role        Role
	Name        string // of the server, or the client's id
	Version     string
	Started     time.Time
	Draining    bool
	Listen      []string     // bound addresses of a server
	Connections []Connection // in order of ID
	Servers     []Server     // of a client
	Expose      []Expose     // of a client
	Banned      []string     // client ids
	Waiting     int          // callers that wait for a connection
	Totals      Totals
}
