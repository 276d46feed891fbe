package config

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"adit/engine"
)

// Limits are what a server does not let peers exceed. Zero is no bound where the
// help says so.
type Limits struct {
	HeaderBytes   int64
	HeaderFields  int
	HeaderTimeout time.Duration
	KeepAlive     time.Duration
	Stall         time.Duration
	Body          int64

	Connections           int
	ConnectionsPerAddress int
	ConnectionsPerClient  int
	HandshakeRate         float64 // a second
	FailureRate           float64 // a second
	ExchangesPerClient    int
	Waiting               int
	Bandwidth             int64 // bytes a second
	Memory                int64
}

// LimitSettings defines the settings of a server's limits; each sets its field
// of l.
func LimitSettings(l *Limits) []Setting {
	return []Setting{
		sizeSetting(&l.HeaderBytes, "max-header-bytes", "64KiB", "request head of a caller; 431 above", 4<<10),
		live(numberSetting(&l.HeaderFields, "max-header-fields", "256", "fields of a request head; 431 above", 16, 256)),
		live(durationSetting(&l.HeaderTimeout, "header-timeout", "10s", "how long a request head, or a TLS handshake, may take", 100*time.Millisecond, time.Hour)),
		live(durationSetting(&l.KeepAlive, "keep-alive", "2m", "how long a caller's connection stays open between requests", time.Second, 24*time.Hour)),
		live(durationSetting(&l.Stall, "stall", "1m", "how long a caller may keep a byte waiting that it has to send or to take", 100*time.Millisecond, 24*time.Hour)),
		live(sizeSetting(&l.Body, "max-body", "0", "content of a request, or of a replay; 413 above, 0 without bound", 0)),
		live(numberSetting(&l.Connections, "max-connections", "0", "sockets of the public listener and TCP ports, clients' too; 0: what the open files of the process allow", 0, math.MaxInt32)),
		live(numberSetting(&l.ConnectionsPerAddress, "max-connections-per-address", "4096", "of these from one address (IPv6: its /64), but this machine and trusted proxies; 0 without bound", 0, math.MaxInt32)),
		live(numberSetting(&l.ConnectionsPerClient, "max-connections-per-client", "1000", "connections of one client id; 0 without bound", 0, math.MaxInt32)),
		live(rateSetting(&l.HandshakeRate, "handshake-rate", "100", "registrations a second from one address but this machine, ten times as many at once; 0 without bound")),
		live(rateSetting(&l.FailureRate, "failure-rate", "5", "wrong credentials a second from one address but this machine, ten times as many at once; 0 without bound")),
		live(numberSetting(&l.ExchangesPerClient, "max-exchanges-per-client", "10000", "requests and TCP callers in flight to one client id; 0 without bound", 0, math.MaxInt32)),
		live(numberSetting(&l.Waiting, "max-waiting", "1000", "callers that wait for one client or name; 503 above", 1, math.MaxInt32)),
		live(sizeSetting(&l.Bandwidth, "bandwidth-per-client", "0", "bytes a second to one client id, and from it; 0 without bound", 0)),
		live(sizeSetting(&l.Memory, "memory", "0", "memory of the process, above which no new request, TCP caller or registration is taken; 0 without bound", 0)),
	}
}

// rateSetting takes a number of events a second.
func rateSetting(into *float64, name, fallback, help string) Setting {
	return Setting{Name: name, Help: help, Default: fallback, Value: "N", Set: scalar(func(v string) error {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0 && f <= 1e6) {
			return fmt.Errorf("%q is no rate; want a number from 0 to 1000000", engine.Bound(v))
		}
		*into = f
		return nil
	}), Get: func() string { return strconv.FormatFloat(*into, 'g', -1, 64) }}
}
