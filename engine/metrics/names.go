package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// A kind is what a family of series is.
type kind uint8

const (
	counter kind = iota
	gauge
	histogram
)

func (k kind) value() prometheus.ValueType {
	if k == counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// A family is one name with its labels.
type family struct {
	name   string
	kind   kind
	labels []string
	help   string
}

// The families, in the order of the table below.
const (
	buildInfo = iota
	ready
	draining
	requestsTotal
	requestDuration
	requestFirstByte
	requestQueue
	requestsInFlight
	requestsWaiting
	connections
	connectionsClosed
	connectionsWanted
	servers
	serversConnected
	greetingsRejected
	dialsFailed
	admissionsRefused
	operatorActions
	limitsReached
	framesTotal
	websocketBytes
	clientConnections
	clientInFlight
	clientBytes
	clientsBanned
	eventsTotal
	eventsDropped
	captureBytes
	captureLimit
	captureDropped
	records
	recordsMissing
	historyRecords
	historyLost
	historyWritable
	certificateExpiry
	spansSent
	spansLost
	families
)

// maxClients bounds the values of the label client, and of certificate: those seen
// first have a series of their own, all others one together.
const (
	maxClients      = 100
	maxCertificates = 100
	otherClients    = "other"
)

// table is every metric of ours. No label ever holds a path, a host, an address or
// what a caller has sent; the values of each are few:
//
//	way          request, proxy, connect, host, tcp; not at a client, which is not told
//	code         of requests 1xx to 5xx, none without a status (TCP); of connections and
//	             greetings the close code, at most 32 of them, 0 for all others
//	outcome      completed, caller_gone, origin_failed, tunnel_failed, refused,
//	             timed_out, truncated
//	protocol     adit.v1, wsp
//	state        greeting, idle, busy, draining, closing
//	direction    in: read by this end; out: written by it
//	opcode       text, binary, continuation, close, ping, pong (RFC 6455)
//	client       ids of the first 100 clients that were seen, other for the rest
//	status       HTTP status of the refusal
//	action       kill, drain, ban, unban, cancel, replay, reload, capture
//	limit        name of a setting: header-timeout, exchanges-per-client, ...
//	certificate  file or first name, of the 100 that end first
//
// What is not known has no series: a server has no adit_servers, a client no
// adit_client_connections, and without a history there is no adit_history_records.
// Beside these there are go_* and process_* of the Go runtime and the process.
var table = [families]family{
	buildInfo:         {"adit_build_info", gauge, []string{"version", "goversion", "role"}, "What this is; always 1."},
	ready:             {"adit_ready", gauge, nil, "1 where /readyz says yes."},
	draining:          {"adit_draining", gauge, nil, "1 while no new request is taken."},
	requestsTotal:     {"adit_requests_total", counter, []string{"way", "code", "outcome"}, "Requests and byte streams that ended."},
	requestDuration:   {"adit_request_duration_seconds", histogram, []string{"way", "code"}, "From a request's arrival at this end to the end of its response."},
	requestFirstByte:  {"adit_request_first_byte_seconds", histogram, []string{"way", "code"}, "From a request's arrival at this end to the first byte of its response, where one came."},
	requestQueue:      {"adit_request_queue_seconds", histogram, []string{"way"}, "From a request's arrival until a connection to a client was found, where one was."},
	requestsInFlight:  {"adit_requests_in_flight", gauge, nil, "Requests and byte streams on connections now."},
	requestsWaiting:   {"adit_requests_waiting", gauge, nil, "Callers that wait for a connection now."},
	connections:       {"adit_connections", gauge, []string{"protocol", "state"}, "WebSockets between server and clients now."},
	connectionsClosed: {"adit_connections_closed_total", counter, []string{"code"}, "WebSockets that ended, by close code."},
	connectionsWanted: {"adit_connections_wanted", gauge, nil, "WebSockets that this client wants to hold to all its servers."},
	servers:           {"adit_servers", gauge, nil, "Servers that this client dials."},
	serversConnected:  {"adit_servers_connected", gauge, nil, "Of these, those at which it is registered."},
	greetingsRejected: {"adit_greetings_rejected_total", counter, []string{"code"}, "Clients that were not registered, by close code."},
	dialsFailed:       {"adit_dials_failed_total", counter, nil, "Dials to servers that failed."},
	admissionsRefused: {"adit_admissions_refused_total", counter, []string{"status"}, "Credentials that were missing or wrong, of callers and clients."},
	operatorActions:   {"adit_operator_actions_total", counter, []string{"action"}, "What operators did."},
	limitsReached:     {"adit_limits_reached_total", counter, []string{"limit"}, "How often a limit has bitten, by its setting."},
	framesTotal:       {"adit_websocket_frames_total", counter, []string{"direction", "opcode"}, "WebSocket frames between server and clients."},
	websocketBytes:    {"adit_websocket_bytes_total", counter, []string{"direction"}, "Bytes of these, without opening handshakes and TLS."},
	clientConnections: {"adit_client_connections", gauge, []string{"client"}, "WebSockets of one client now."},
	clientInFlight:    {"adit_client_requests_in_flight", gauge, []string{"client"}, "Requests and byte streams of one client now."},
	clientBytes:       {"adit_client_bytes_total", counter, []string{"client", "direction"}, "Bytes over the WebSockets of one client."},
	clientsBanned:     {"adit_clients_banned", gauge, nil, "Client ids that are banned."},
	eventsTotal:       {"adit_events_total", counter, nil, "Events that were published, for whoever watches."},
	eventsDropped:     {"adit_events_dropped_total", counter, nil, "Events that a watcher was too slow for, one for each watcher."},
	captureBytes:      {"adit_capture_bytes", gauge, nil, "Content of requests that is kept in memory."},
	captureLimit:      {"adit_capture_limit_bytes", gauge, nil, "Bound of adit_capture_bytes, above which the oldest goes."},
	captureDropped:    {"adit_capture_dropped_total", counter, nil, "Requests whose content went to make room, or was not sampled."},
	records:           {"adit_records", gauge, nil, "Records of requests in memory."},
	recordsMissing:    {"adit_records_missing", gauge, nil, "Records that memory misses because they came too fast."},
	historyRecords:    {"adit_history_records", gauge, nil, "Records in the database, those of former runs too."},
	historyLost:       {"adit_history_lost_total", counter, nil, "Events that the database has a gap for."},
	historyWritable:   {"adit_history_writable", gauge, nil, "1 while the database takes what comes."},
	certificateExpiry: {"adit_certificate_expiry_timestamp_seconds", gauge, []string{"certificate"}, "When a certificate that is shown ends."},
	spansSent:         {"adit_spans_sent_total", counter, nil, "Spans that the collector has taken."},
	spansLost:         {"adit_spans_lost_total", counter, nil, "Spans that the collector did not take in time, or at all."},
}

// descriptions returns table as the library wants it.
func descriptions() [families]*prometheus.Desc {
	var all [families]*prometheus.Desc
	for i := range table {
		f := &table[i]
		all[i] = prometheus.NewDesc(f.name, f.help, slices.Clone(f.labels), nil)
	}
	return all
}
