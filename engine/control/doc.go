// Package control is the admin API of a running server or client: its server
// half, on a Unix socket or over TCP with TLS and a token ([Server]), and its
// client half, which is an Engine and a RequestLog itself ([Remote]).
//
// The API is HTTP/1.1 with JSON. Everything below is a line for a shell; a test
// runs each of them. SOCKET is the path of a control socket, and "adit" in the
// address is any name: a Unix socket has none. Over TCP it is
//
//	curl -H "Authorization: Bearer $TOKEN" https://HOST:PORT/v1/
//
// # Looking
//
// What this is, who you are to it, and every call:
//
//	curl --unix-socket SOCKET http://adit/v1/
//
// All there is to see at one moment; the connections alone, those that a filter
// selects, one of them, and its newest frames (asking for these makes them be
// noted down for the next 5 s):
//
//	curl --unix-socket SOCKET http://adit/v1/snapshot
//	curl --unix-socket SOCKET http://adit/v1/connections
//	curl --unix-socket SOCKET -G http://adit/v1/connections --data-urlencode 'filter=client:edge-* rtt:>100ms'
//	curl --unix-socket SOCKET http://adit/v1/connections/c-1
//	curl --unix-socket SOCKET http://adit/v1/connections/c-1/frames
//
// Requests, the newest first. filter is the language of the dashboard
// (engine/filter), marked what is:marked means; order is arrival, duration, size,
// status, client or path, descending unless ascending=true; limit (at most 1,000;
// 100) and offset choose a window, at=r-17 puts it around a record; until=r-17
// leaves out what came after. complete=true waits, for at most 5 s, until the
// history was searched too ("searching" says whether it was not); where "cut" is
// true the history has more than are counted in "matched". One that runs has no
// outcome.
//
//	curl --unix-socket SOCKET http://adit/v1/requests
//	curl --unix-socket SOCKET -G http://adit/v1/requests --data-urlencode 'filter=status:>=500 dur:>200ms' -d complete=true
//	curl --unix-socket SOCKET 'http://adit/v1/requests?order=duration&limit=10&offset=0&until=r-3'
//	curl --unix-socket SOCKET 'http://adit/v1/requests?ascending=true&at=r-2&marked=r-1,r-2'
//
// One of them with its heads, in which credentials are masked, or not; what was
// kept of its content (data in base64), of one direction as it went through the
// tunnel (Adit-Content-Encoding says how it is coded, Adit-Content-Whole whether
// it is all), and its messages. Content nobody masks, so a token that may only
// look does not get it.
//
//	curl --unix-socket SOCKET http://adit/v1/requests/r-2
//	curl --unix-socket SOCKET http://adit/v1/requests/r-2?secrets=shown
//	curl --unix-socket SOCKET http://adit/v1/requests/r-2/content
//	curl --unix-socket SOCKET http://adit/v1/requests/r-2/content/request
//	curl --unix-socket SOCKET http://adit/v1/requests/r-2/content/response
//	curl --unix-socket SOCKET http://adit/v1/requests/r-2/messages
//
// Requests with what was kept of them as HAR 1.2: the newest that a filter
// selects (limit at most 10,000; 1,000), or those of ids; secrets=shown as above.
//
//	curl --unix-socket SOCKET http://adit/v1/export.har
//	curl --unix-socket SOCKET -G http://adit/v1/export.har --data-urlencode 'filter=status:200' -d limit=10
//	curl --unix-socket SOCKET 'http://adit/v1/export.har?ids=r-1,r-2&secrets=shown'
//
// Events of the past but those of requests, the newest first; before takes the
// key of the last one to go on from there:
//
//	curl --unix-socket SOCKET http://adit/v1/events
//	curl --unix-socket SOCKET -G http://adit/v1/events --data-urlencode 'filter=kind:connection_opened' -d before=100 -d limit=10
//
// Settings, bans, and what is captured:
//
//	curl --unix-socket SOCKET http://adit/v1/settings
//	curl --unix-socket SOCKET http://adit/v1/bans
//	curl --unix-socket SOCKET http://adit/v1/capture
//
// # Following
//
// Events from now on, a line each, as --headless writes them. kinds is all,
// requests (the default: everything but request_started), lifecycle, or names
// with commas; subject says of what the filter is: requests, events or
// connections. heads=true adds the heads of requests, masked. A line of kind
// "dropped" counts what this reader was too slow for; one of kind "fell_behind"
// is the last one to a reader that took nothing for 2 s.
//
//	curl --unix-socket SOCKET -N http://adit/v1/tail
//	curl --unix-socket SOCKET -N -G http://adit/v1/tail -d subject=requests --data-urlencode 'filter=status:>=500'
//	curl --unix-socket SOCKET -N 'http://adit/v1/tail?kinds=connection_opened,connection_closed'
//	curl --unix-socket SOCKET -N 'http://adit/v1/tail?subject=connections&filter=client:edge&heads=false'
//
// What a dashboard is fed with: {"hello"}, then {"snapshot"} with everything
// ("full"; "more" says that the next line goes on), then {"snapshot"} with what has
// changed, at most every interval (100ms at least, 2s at most) and at least every
// 2 s, and {"events"} as they come, with "dropped" before them; {"end"} at last. In
// a snapshot that is not full a member that is missing has not changed, a
// connection has only its changes, and "removed" are those that ended; elapsed_us is
// how long after the begin of the stream it was so: what comes ever later than that
// waits on a slow way. kinds are
// lifecycle unless asked for; filter selects requests; heads=true adds theirs.
// since=SEQ and instance=ID ask how many events were missed. dashboard=true says
// that somebody looks, who counts as attached. It is compressed for who accepts
// gzip.
//
//	curl --unix-socket SOCKET -N http://adit/v1/stream
//	curl --unix-socket SOCKET -N --compressed 'http://adit/v1/stream?interval=1s&kinds=all&heads=true'
//	curl --unix-socket SOCKET -N 'http://adit/v1/stream?kinds=requests&filter=status:500&since=12&instance=i-1'
//
// # Watching the process
//
// Whether it lives, and whether it can be sent requests (503 with the reason where
// it can't: it is draining, a client is registered at no server). These two need no
// token:
//
//	curl --unix-socket SOCKET http://adit/healthz
//	curl --unix-socket SOCKET http://adit/readyz
//
// Metrics for Prometheus (engine/metrics has their names), and profiles for go tool
// pprof, which a token that may only look does not get:
//
//	curl --unix-socket SOCKET http://adit/metrics
//	curl --unix-socket SOCKET http://adit/debug/pprof/heap
//	curl --unix-socket SOCKET 'http://adit/debug/pprof/?debug=1'
//	curl --unix-socket SOCKET 'http://adit/debug/pprof/profile?seconds=1'
//	curl --unix-socket SOCKET 'http://adit/debug/pprof/trace?seconds=1'
//	curl --unix-socket SOCKET http://adit/debug/pprof/symbol?0x1
//
// # Acting
//
// What changes something needs a content of application/json, so that no page in
// a browser can ask for it: {"reason":"…"} at least, which stands in the audit
// event beside who asked. A close code is 4000 unless given.
//
//	curl --unix-socket SOCKET --json '{"reason":"stuck"}' http://adit/v1/connections/c-1/close
//	curl --unix-socket SOCKET --json '{"reason":"stuck","code":1012}' http://adit/v1/connections/c-1/close
//	curl --unix-socket SOCKET --json '{"reason":"new version"}' http://adit/v1/connections/c-1/drain
//	curl --unix-socket SOCKET -X PUT --json '{"reason":"too many errors"}' http://adit/v1/bans/edge-3
//	curl --unix-socket SOCKET -X DELETE --json '{"reason":"mended"}' http://adit/v1/bans/edge-3
//	curl --unix-socket SOCKET --json '{"reason":"hangs"}' http://adit/v1/requests/r-2/cancel
//	curl --unix-socket SOCKET -X PUT --json '{"mode":"heads","content":["client:edge path:/api"],"reason":"ticket 12"}' http://adit/v1/capture
//	curl --unix-socket SOCKET --json '{"reason":"new version"}' http://adit/v1/drain
//
// Loading the configuration again, all or nothing: the answer says which settings
// have changed and which of these need a restart. A status of 422 says what is
// wrong with it:
//
//	curl --unix-socket SOCKET --json '{"reason":"new rules"}' http://adit/v1/reload
//
// Starting a server anew without a gap; the answer comes when the new process
// serves, with its id. A status of 422 says what kept it from that, and nothing has
// changed:
//
//	curl --unix-socket SOCKET --json '{"reason":"new version"}' http://adit/v1/restart
//
// Sending a request again, as it was kept here or changed (client, method, target,
// set, remove; content in base64), and sending any; the answer is its id:
//
//	curl --unix-socket SOCKET --json '{"reason":"again"}' http://adit/v1/requests/r-2/replay
//	curl --unix-socket SOCKET --json '{"set":[{"name":"accept","value":"*/*"}],"remove":["cookie"],"content":"YT0y","reason":"again"}' http://adit/v1/requests/r-2/replay
//	curl --unix-socket SOCKET --json '{"method":"GET","target":"http://app.example.com/","way":"host","fields":[{"name":"accept","value":"*/*"}],"reason":"try"}' http://adit/v1/replay
//
// # Answers
//
// Names are those of events. Times are RFC 3339 with nanoseconds in UTC, durations
// whole microseconds (…_us), and what is not known is left out. An error is
// {"error":"what happened; what to do next"} with a status: 400 (of a filter with
// "column" and "length"), 401 without a token, 403 for what this operator may not,
// 404, 409, 413, 415, 503; "code" is not_found, read_only, draining, recorded,
// too_much, not_running, closed or filter where a program may want to know. An
// answer has an ETag, and If-None-Match saves sending it again.
//
// # Who may
//
// Over a Unix socket whoever the kernel says is this process's user, or root.
// Over TCP whoever has a token; there a read-only token may look and change
// nothing, sees no secret of the traffic, and may not filter by header fields, which
// would tell them. Pages in browsers are refused by
// their Origin field and by a Host that is neither an address nor the name in the
// certificate. There are 256 sockets of a listener and 64 streams at most.
//
// # Versions
//
// Members and calls are added without notice, so a reader ignores what it does not
// know, and "minor" of the protocol grows. Whatever else changes is another "major"
// and another path.
package control
