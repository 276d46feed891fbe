// Package engine is the vocabulary of a running tunnel endpoint: the Engine
// interface, events, snapshots, records of requests, reasons and outcomes. It
// imports the standard library only; everything under engine/ speaks it, and a
// front end needs nothing else to show and steer an endpoint, local or remote.
// This page is the map.
//
// # What happens to a request
//
//	caller ── server ─────────────────── WebSocket ─────────────────── client ── origin
//	          ways      which way in                     serve   rules, route
//	          dispatch  which connection                 origin  HTTP or TCP
//	          gateway   heads and content
//	          tunnel    one exchange      records        tunnel  one exchange
//	          frame     counts            on the wire    frame   counts
//
// A client dials out to GET /register on a server and says who it is in a
// greeting (tunnel, wire). The server keeps the connection in pools (server).
// A caller comes in by one of four ways; the dispatcher finds the connection
// with the fewest exchanges in flight; the gateway opens an exchange on it and
// relays both ways; the client checks its rules (policy) and sends the request
// to the origin (origin). What happens is published as events (observe), what
// flows is counted (frame); command prints it, a front end shows it.
//
// # Rooms
//
//	engine            vocabulary only
//	engine/command    the verbs: flags, help, what is printed
//	engine/config     one configuration from defaults, file, environment and flags; wsp's files
//	engine/server     /register, pools and dispatch, the public gateway, forward proxy, hosts, TCP ports
//	engine/client     dialling, pools, backoff, rules, forwarding
//	engine/doctor     what keeps a tunnel from working: the probes of adit doctor
//	engine/service    services of systemd, launchd and Windows; scripts for OpenRC and FreeBSD
//	engine/control    the admin API on a socket, and the engine at its other end
//	engine/capture    what is kept of content while it passes
//	engine/inspect    exchanges for people and tools: masks, decoding, curl, HAR, replay
//	engine/origin     from the client to the origin server
//	engine/tunnel     one WebSocket in either protocol: opening, reader, writer, keepalive, exchanges
//	engine/wire       messages of both protocols as pure functions
//	engine/frame      passive count of frames by opcode and size, below the WebSocket library; the frame tape
//	engine/tcp        system calls of TCP that the scheduler need not know of
//	engine/filter     the language that narrows requests, connections and events
//	engine/procs      one processor while there is little to do
//	engine/policy     credentials, tokens, rules, resolve-check-dial
//	engine/certs      TLS of our listeners: files, ACME, peers' certificates
//	engine/proxyproto on whose behalf a load balancer connects (PROXY protocol)
//	engine/egress     a client's way out: proxies, authorities
//	engine/limit      how many at once, how many a second
//	engine/handover   listening sockets from a service manager and to a successor
//	engine/metrics    what Prometheus is told
//	engine/trace      spans for an OpenTelemetry collector
//	engine/observe    event bus, totals, event lines; rates of snapshots, events in words
//	engine/demo       what adit demo starts
//	engine/enginetest what tests stand on: in-memory network, faults, peers, oracle; script has
//	                  what people type run, readme reads what a page promises
//	engine/chaos      tests of the whole binary under faults (build tag chaos)
//
//	store             what is recorded of requests, kept in bounds: engine.RequestLog; recordings are written here
//	store/history     the database behind it: schema, one writer, readers
//	store/playback    a database shown as an engine: a recording, the history of a run
//	tui               the dashboard: one Bubble Tea model, screens and overlays as plain structs below it
//	keys, themes      what keys do, and how everything looks
//
// Within engine imports go down this list only, and arch_test.go holds them to
// it: tunnel alone knows the WebSocket library (demo uses it for its own origins
// and callers, doctor for its probes), command alone cobra, nothing here a terminal.
//
// # Goroutines
//
// The creator stops and joins. An idle connection has one, its reader: who tears
// it down says so at last (OnEnd), and its timer starts a writer. A client has a
// second one that reports its end. Per exchange there is one at each end, and a
// second where content flows both ways.
//
//	goroutine                          started by            ends when                        joined by
//	processors                         procs.Govern (main)   stop                             stop
//	tunnel reader (adit.v1)            conn.start            socket error, Close              the last writer
//	tunnel writer (adit.v1), while     who has something     nothing is left to write; the    Done
//	  there is something to write        to write, the timer   last one: the connection's end
//	tunnel handler, one per exchange   conn.accept (reader)  handler returns                  writer, before Done
//	tunnel reader, keeper (wsp)        classicLink.start     socket error, Close              Done
//	tunnel second reader (wsp), when   classicSession        socket error, Close; the first   Done
//	  a handler runs on the reader for                         ends with its handler
//	  longer than 5 ms
//	tunnel handler (wsp), where        classicSession.read   handler returns                  Done
//	  content has to be waited for
//	server connection of a caller      net/http              caller leaves, Close             Server.Close, Shutdown
//	server watch of callers (Linux)    Serve                 Close                            Server.Close
//	server upload, one per request     gateway, raw          content ends, exchange over      the caller's goroutine, before it answers
//	  with content
//	server replay, a second one for    Replay                response read, 60 s idle,         Server.Close, Shutdown; the
//	  content                                                  cancel                            second one: the first
//	server watch of the memory, where  New, Update           it has no bound any more, Close  Server.Close
//	  it is bounded
//	server accept, one per TCP port    claims.take, Serve    nobody exposes it, Close         Server.Close
//	server wait for who exposes an     Serve                 30 s, Close                      Server.Close
//	  inherited TCP port
//	handover wait for the end of the   Sockets.Ready         the former process ends          ends with the process
//	  former process
//	server TCP caller                  accept                either side ends                 Server.Close
//	server probe of adit doctor        net/http              its peer, 10 min, its            Server.Close
//	                                                           credential's end, drain, Close
//	server sweep of idle wsp           Serve                 Close                            Server.Close
//	certs look, one per source         certs.New             Close                            Source.Close
//	certs order, one per name that is  look, a handshake     certificate, failure, 3 min,     Source.Close
//	  to get a certificate                                     Close
//	command plain HTTP beside TLS      run.openDoor          the run ends, a successor        door.leave
//	                                                           serves
//	server look at what has expired    a timer, an update    it has looked                    Server.Close
//	server telling of limits and       a timer's             told, closed                     nobody: they find the
//	  refusals, end of those refused                                                            server's end and do nothing
//	server end of a stalled stream of  a timer's             ended                            the handler, before it returns
//	  HTTP/2
//	server end of a link whose         Update, expiry        the link has ended               Server.Close
//	  credential does not hold
//	client maintain, one per server    Client.Run            ctx, Close                       Client.Run
//	client connection                  maintain              session ends                     maintain
//	client drain or end of a session   Run, Update, Drain    the session has taken it         Client.Run
//	client end of former connections   Update, 30 s later    they are closed                  Client.Run
//	  to origins
//	client replay                      Client.Replay         response read, 60 s idle,         Client.Run
//	                                                           cancel
//	client raw copy                    handler               either side ends                 handler
//	origin content, one per request    Transport.Send        content ends, response closed    Response.Content.Close
//	  with content not yet at hand
//	origin idle watch, where a socket  pool                  taken again, idle timeout        Transport.Close
//	  can't be asked without waiting
//	observe pump, one per subscriber   Bus.Subscribe         ctx, Bus.Close                   Bus.Close
//	control answer, one per socket     net/http              its peer leaves, Close            control Server.Close
//	control ledger                     NewServer             Close, the engine's end           control Server.Close
//	control look at the clock, a       admit                 it has looked; the call's end     nobody: it ends its call at most
//	  timer's, per certified call
//	metrics follower                   metrics.New           ctx, the engine's end            Set.Close
//	trace follower, sender             trace.New             the bus is closed, Close         Exporter.Close, within 2 s
//	command metrics listener           run.observe           the run ends, a successor        run.end
//	                                                           serves
//	command word to a service manager  run.tellReady         the engine's end                 run.end
//	remote stream                      Dial                  Close, ctx                        Remote.Close
//	remote pump, one per subscriber    Remote.Subscribe      ctx, Close                        Remote.Close
//	observe sweep, a timer's, while a  Sweeper.Arm           it has looked                     Sweeper.Close
//	  start is to be told late
//	store ingest, one per log          store.Open            Log.Close, the engine's end      Log.Close
//	store search of the history, at    Log.Requests          done, nobody asks for 2 s,       Log.Close
//	  most two; survey of its ids                              Log.Close
//	store askers of a recording        store.Record          its end, 2 s after it            Record
//	store playback: survey, one per    playback.Open,        done; ctx, Recording.Close       Recording.Close
//	  subscription                       Subscribe
//	command control, one per socket    run.watch              the run ends                     run.end
//	command first data, hangup of      a verb                 data or the verb's end           the verb
//	  attach
//	command settings after a reload    attach                 its dashboard ends               attach
//	command reloader                   run.live               the run ends                     run.end
//	command restart, SIGUSR2           run.headless          the successor serves, or not     run.headless
//	command refusal of restarts        run.live              its dashboard ends               run.live
//	command serve, drain, print,       run.live              the run ends                     run.live, but for a write
//	  show, tell                                                                              to a stdout or a terminal that
//	                                                                                          nobody reads, which ends with
//	                                                                                          the process
//	tui program, writer of the         Dashboard.Show        ctx, quit, the terminal is       Show, within 200 ms; what is
//	  terminal                                               gone, the engine's end           stuck in a write ends with the
//	                                                                                          process
//	tui collector                      tui.Open              Show's end, ctx                  Show, for at most 100 ms
//	tui wants, at most 4 at once       tui collector         fetched, ctx; far: 2 s           tui collector
//	tui commands: actions, files, the  tui program           done; actions: ctx, 10 s         nobody: what they say goes to a
//	  memory, looking for changes                                                             program that may have ended;
//	                                                                                          Show waits for the memory
//	history writer, one per database   history.Open          File.Close                       File.Close, within 2 s; what is
//	                                                                                          stuck in a write ends with the
//	                                                                                          process
//	tui wait for the guard (a process) restore.Start         the guard's end                  Guard.Done, within 100 ms
//	plain printer                      Lines.Show            as Show                          Lines.Show, but for a read of
//	                                                                                          stdin, which ends with the
//	                                                                                          process
//	service program of a manager       Host.Run              2 min, ctx                       Host.Run
//	service run under Windows          Serve                 the program's end                Serve
//	main signals                       main                  second signal, the run ends      main
//	doctor dials, one per address      doctor.Client         5 s each                         doctor.Client
//	doctor silences, a reader each,    doctor.Client         --idle, and a few steps of 5 s   doctor.Client
//	  one that pings, one that sends;
//	  a writer per message, of flow
//	demo origins, clients, callers     Demo.Run              ctx                              Demo.Run
//
// # Locks
//
// Order: server rechecking, then claims → dispatcher, then probes → expiry and the
// connection of a probe, callerConn → callerWatch, server links and client → totals,
// whoever asks for a frame tape → the tape, the watch of one stream of HTTP/2 → limits
// and that stream, which must not be touched once its handler has left it. All others
// are leaves: nobody holds one while taking another, calling out, sending on a channel
// that could block, or doing I/O; but claims binds ports, and store/playback, which no
// tunnel is near, reads its database under two of its own (moments, details). The
// bus's lock is a leaf below all. A tunnel connection has one mutex, for its outbox
// and all of its exchanges; no lock is shared by all connections on the way of a
// request.
//
// # Laws
//
// Nothing may slow or block the tunnel: who watches is handed copies through a fixed
// ring and loses the oldest, counted. What costs more than a count is made only while
// somebody wants it: records, heads, live counts, frame tapes. A response never
// reaches the wrong caller: an exchange is known by an id that is never reused, and a
// connection (to a wsp client, to an origin) is used again only when its last exchange
// was proven finished. A truncated response is never taken for complete: END is sent
// only at the true end, and after the head a failure aborts the caller.
//
// What a request costs, what was done about it and what did not help is in
// PERFORMANCE.md beside this file.
//
// # Glossary
//
//	exchange    one request with its response (RFC 9113 §8.1)
//	connection  one WebSocket; c-17
//	record      the unit inside a binary message of adit.v1
//	frame       a WebSocket frame, always (RFC 6455 §5)
//	content     what a request or response carries (RFC 9110 §6.4)
//	way         how a caller came in: request, proxy, connect, host, tcp
//	route       the n-th name or port that a client exposes; 0 is none
//	outcome     how an exchange ended; every one has exactly one
//	classic     the wsp protocol; native is adit.v1
package engine
