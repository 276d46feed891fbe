// Package history is the database behind the ring: one SQLite file with what
// was seen, written by one goroutine in batches, read by any number. It opens
// in any SQLite tool:
//
//	sqlite3 server-edge.db 'SELECT * FROM slow'
//	sqlite3 server-edge.db "SELECT client, count(*) FROM requests WHERE status >= 500 GROUP BY client"
//
// # Writing
//
// [File.Add] puts what happened into a bounded queue and never waits. The writer
// takes it from there and writes a transaction 150 ms after the first row that
// waits, or as soon as 4,096 wait, so that a kill loses at most the last 250 ms.
// What the queue has no room for is counted and becomes a row of gaps: rows of
// requests and the counts of gaps make all that ended.
//
// After a fault (a full disk, a lock of another program, an error of the disk, a
// file that was taken away) writing is suspended, which is said once. The queue
// keeps what it has room for; the writer tries again after 1 s, 2 s and so on up
// to 30 s, and goes on. A file that is damaged is moved aside, never written over.
//
// A lock on a file beside the database, which ends with the process, keeps a
// second process out. Ids go on from run to run; after a run that did not say that
// it ended they begin at the next 10,000 but one, since some that it gave out may
// be lost.
//
// Retention takes the oldest away, 500 rows at a time between two batches. Pages
// that are free then are used again or given back a few at a time.
//
// # Reading
//
// Readers have connections of their own and never hold up the writer. A filter
// becomes SQL (sql.go); where SQL can't say exactly what it means, the filter is
// asked, of few rows or few columns. There is no index to search: ids are looked at
// in slices of 10,000, between which a search can be ended and the database's log
// be taken into it.
//
// # Schema
//
// Times are nanoseconds since 1970 UTC, durations microseconds, sizes bytes. A text
// that is not valid UTF-8, or has a NUL in it, is a BLOB.
//
//	CREATE TABLE runs (
//	    id            INTEGER PRIMARY KEY,
//	    started       INTEGER NOT NULL, -- time
//	    ended         INTEGER,          -- time; NULL: it still runs, or ended without saying so
//	    role          TEXT NOT NULL,    -- server or client
//	    name          TEXT NOT NULL,
//	    version       TEXT NOT NULL,
//	    instance      TEXT,             -- of the process, as the control socket tells it
//	    first_request INTEGER NOT NULL, -- ids from here to last_ are of this run, whether or not they are kept
//	    last_request  INTEGER NOT NULL,
//	    first_conn    INTEGER NOT NULL,
//	    last_conn     INTEGER NOT NULL,
//	    last_key      INTEGER NOT NULL  -- the newest of events.id that was given out
//	)
//	CREATE TABLE connections (
//	    id                      INTEGER PRIMARY KEY, -- 17 is c-17
//	    client                  TEXT NOT NULL,       -- client id
//	    peer                    TEXT NOT NULL,       -- address
//	    protocol                TEXT,                -- adit.v1 or wsp
//	    opened                  INTEGER,             -- time; NULL: before the history began
//	    greeted                 INTEGER,             -- time
//	    greeting                TEXT,                -- what the client said of itself, JSON
//	    closed                  INTEGER,             -- time; NULL: open, or how it ended was not seen
//	    duration_us             INTEGER,
//	    code                    INTEGER,             -- close code
//	    reason                  TEXT,
//	    bytes_in                INTEGER,
//	    bytes_out               INTEGER,
//	    frames_in_text          INTEGER,
//	    frames_in_binary        INTEGER,
//	    frames_in_continuation  INTEGER,
//	    frames_in_close         INTEGER,
//	    frames_in_ping          INTEGER,
//	    frames_in_pong          INTEGER,
//	    frames_out_text         INTEGER,
//	    frames_out_binary       INTEGER,
//	    frames_out_continuation INTEGER,
//	    frames_out_close        INTEGER,
//	    frames_out_ping         INTEGER,
//	    frames_out_pong         INTEGER
//	)
//	CREATE TABLE requests (
//	    id             INTEGER PRIMARY KEY, -- 4711 is r-4711; in order of arrival
//	    arrived        INTEGER NOT NULL,    -- time
//	    status         INTEGER NOT NULL,    -- as sent to the caller; 499 it left before; 0 none
//	    outcome        TEXT,                -- completed, caller_gone, origin_failed, tunnel_failed, refused, timed_out, truncated
//	    way            TEXT,                -- request, proxy, connect, host, tcp; NULL at a client
//	    protocol       TEXT,                -- of the connection
//	    conn           INTEGER,             -- connections.id; NULL none was found
//	    method         TEXT NOT NULL,
//	    target         TEXT NOT NULL,       -- secrets in its query masked
//	    client         TEXT NOT NULL,       -- client id
//	    caller         TEXT NOT NULL,       -- address
//	    reason         TEXT,                -- why it did not complete
//	    request_bytes  INTEGER NOT NULL,    -- content
//	    response_bytes INTEGER NOT NULL,    -- content
//	    queued_us      INTEGER,             -- since arrival, until a connection was found; NULL not reached or not known
//	    sent_us        INTEGER,             -- until the head was written to it
//	    connect_us     INTEGER,             -- until the origin connection was ready; 0 reused
//	    first_byte_us  INTEGER,             -- until the first byte of the response
//	    last_byte_us   INTEGER,             -- until it was over
//	    upgraded       INTEGER,             -- 1: another protocol took over
//	    replay         INTEGER              -- 1: sent again by an operator
//	, credential TEXT /* name of what admitted the caller; NULL none was asked for */)
//	CREATE TABLE captures (
//	    id                INTEGER PRIMARY KEY, -- requests.id
//	    request_head      TEXT,                -- lines "name: value"
//	    response_head     TEXT,
//	    heads_cut         INTEGER,             -- 1: fields were left out
//	    request_content   BLOB,                -- its beginning
//	    request_size      INTEGER,             -- of all that passed; NULL no content was kept
//	    request_over      INTEGER,             -- 1: its end passed
//	    response_content  BLOB,
//	    response_size     INTEGER,
//	    response_over     INTEGER,
//	    messages_lost     INTEGER              -- older ones that are not in messages
//	)
//	CREATE TABLE messages (
//	    request     INTEGER NOT NULL, -- requests.id
//	    n           INTEGER NOT NULL, -- from 0, in order of time
//	    time        INTEGER NOT NULL,
//	    from_caller INTEGER NOT NULL,
//	    kind        TEXT NOT NULL,    -- text, binary, close, ping, pong, event, bytes
//	    compressed  INTEGER,          -- 1: RFC 7692
//	    size        INTEGER NOT NULL, -- of the whole message
//	    data        BLOB,             -- its beginning
//	    PRIMARY KEY (request, n)
//	) WITHOUT ROWID
//	CREATE TABLE events (
//	    id          INTEGER PRIMARY KEY, -- grows, from run to run too
//	    run         INTEGER NOT NULL,
//	    time        INTEGER NOT NULL,
//	    seq         INTEGER NOT NULL,    -- of the run
//	    kind        TEXT NOT NULL,
//	    conn        INTEGER,
//	    client      TEXT,
//	    peer        TEXT,
//	    protocol    TEXT,
//	    way         TEXT,
//	    reason      TEXT,
//	    code        INTEGER,             -- close code, or HTTP status of a refusal
//	    duration_us INTEGER,             -- lifetime, time until the next try, uptime
//	    server      TEXT,
//	    listen      TEXT,
//	    action      TEXT,                -- what an operator did
//	    operator    TEXT,
//	    target      TEXT,
//	    exchanges   INTEGER,
//	    more        TEXT,                -- greeting, closed and totals, JSON
//	    line        TEXT NOT NULL
//	)
//	CREATE TABLE samples (
//	    time                    INTEGER NOT NULL,
//	    conn                    INTEGER NOT NULL, -- connections.id
//	    state                   TEXT NOT NULL,
//	    in_flight               INTEGER NOT NULL,
//	    exchanges               INTEGER NOT NULL, -- that ended
//	    failed                  INTEGER NOT NULL,
//	    rtt_us                  INTEGER,
//	    bytes_in                INTEGER NOT NULL,
//	    bytes_out               INTEGER NOT NULL,
//	    frames_in_text          INTEGER NOT NULL,
//	    frames_in_binary        INTEGER NOT NULL,
//	    frames_in_continuation  INTEGER NOT NULL,
//	    frames_in_close         INTEGER NOT NULL,
//	    frames_in_ping          INTEGER NOT NULL,
//	    frames_in_pong          INTEGER NOT NULL,
//	    frames_out_text         INTEGER NOT NULL,
//	    frames_out_binary       INTEGER NOT NULL,
//	    frames_out_continuation INTEGER NOT NULL,
//	    frames_out_close        INTEGER NOT NULL,
//	    frames_out_ping         INTEGER NOT NULL,
//	    frames_out_pong         INTEGER NOT NULL,
//	    PRIMARY KEY (time, conn)
//	) WITHOUT ROWID
//	CREATE TABLE totals (
//	    time       INTEGER PRIMARY KEY,
//	    requests   INTEGER NOT NULL,
//	    failed     INTEGER NOT NULL,
//	    bytes_in   INTEGER NOT NULL,
//	    bytes_out  INTEGER NOT NULL,
//	    waiting    INTEGER NOT NULL, -- callers that wait for a connection
//	    state      TEXT NOT NULL
//	)
//	CREATE TABLE gaps (
//	    id        INTEGER PRIMARY KEY,
//	    run       INTEGER NOT NULL,
//	    from_time INTEGER,          -- of the first event that is missing
//	    to_time   INTEGER,
//	    from_seq  INTEGER,
//	    to_seq    INTEGER,
//	    count     INTEGER,          -- requests that ended; NULL not known
//	    events    INTEGER,          -- others; NULL not known
//	    why       TEXT NOT NULL
//	)
//	CREATE TABLE kept (
//	    id       INTEGER PRIMARY KEY CHECK (id = 1),
//	    requests INTEGER NOT NULL
//	)
//	CREATE VIEW slow AS
//	    SELECT id, strftime('%Y-%m-%d %H:%M:%f', arrived / 1e9, 'unixepoch', 'localtime') AS at,
//	        last_byte_us / 1000 AS ms, status, client, method, target, outcome, reason
//	    FROM requests WHERE last_byte_us IS NOT NULL AND upgraded IS NULL ORDER BY last_byte_us DESC LIMIT 100
//	CREATE VIEW failures AS
//	    SELECT id, strftime('%Y-%m-%d %H:%M:%f', arrived / 1e9, 'unixepoch', 'localtime') AS at,
//	        status, outcome, reason, client, method, target
//	    FROM requests WHERE status >= 500 OR outcome NOT IN ('completed', 'caller_gone') ORDER BY id DESC
package history
