// Package filter is the language that narrows requests, connections and events:
// parser, tree, predicates, and errors with the column. It is one language with
// different fields; [Fields] lists those of a subject with help and examples.
//
// # Words and clauses
//
// A word is searched for in the main text: the target of a request, the client,
// peer or server of a connection, the message or source of an event. A clause is
// a field, a colon and a value. Everything that stands side by side must hold.
//
//	/api/orders                      the target has this text
//	status:500                       numbers are equal
//	path:/api client:edge            texts contain the value
//	method:POST,PUT                  a comma means any of
//	status:>=500 dur:>200ms          > >= < <= compare numbers, = and != anything
//	method:=GET path:!=/health       with = and != texts are equal as a whole
//	status:!=200,304                 != with commas means none of
//
// Terms may be joined by OR, grouped by parentheses and negated by - or NOT; AND
// may be written. In any case of letters these words have to be quoted to be
// searched for.
//
//	status:5xx OR outcome:timed_out
//	(client:a OR client:b) -path:/health
//	NOT (status:200 AND method:GET)
//
// # Texts
//
// Case does not matter unless the value has an upper-case letter. With * or ? a
// value is a pattern of the whole text (a bare word's of any part of it): * any
// characters, ? one. Between slashes it is a regular expression (RE2) without
// white space, in which case does not matter after /…/i; a slash that is not
// closed before a space is only a slash. In quotes every character counts as it
// is, but for \" and \\.
//
//	client:edge-* host:*.example.com
//	path:/^\/v[12]\//  path:/\.(png|jpe?g)$/i
//	"two words" reason:"no client"
//	path:"/api/"                     quoted, since path:/api/ is the expression api
//	f:apiord                         these characters of the target, in order
//
// # Numbers
//
// a..b is a range with both ends, a.. and ..b are open. Durations take us, ms, s,
// m, h and d, together where it helps; sizes take B, KiB, MiB and GiB, and K, M
// and G for the same. Equality is as exact as the value is written: dur:200ms is
// 200 ms and whatever is less than 201 ms. What is not known, a duration until a
// first byte that never came, is neither equal nor unequal, neither more nor
// less; only a negation finds it.
//
//	status:500..504 status:401,403,5xx
//	dur:>200ms ttfb:..1.5s wait:1m30s..
//	out:>1MiB in:10K..1M size:0
//	conn:c-17 id:r-12,r-13 id:r-100..r-200
//
// # Times
//
// A time is of the local day of [Context].Now, or has a date, or says how long
// ago. It covers what it does not tell: 15:04 is that whole minute, also at the
// end of a range.
//
//	time:-5m..                       the last five minutes
//	time:15:00..15:04                five minutes of today
//	time:2026-11-22T23:50.. time:<2026-11-23
//	age:<5m
//
// # States, labels and heads
//
// Fields of few values take a part of them. is: has states: of requests
// inflight, ended, failed, aborted, upgraded, replay, unseen (it is not known
// how it ended) and marked; of connections their state, native, classic, failed
// and marked; of events marked. label.NAME is what a client said of itself,
// header.NAME a field of either head and type the media type of the response,
// as long as the heads are kept.
//
//	is:inflight -is:marked
//	way:host outcome:timed,refused
//	label.region:sin label.env:!=prod
//	header.x-request-id:0190* type:json
//
// Of connections:
//
//	state:busy rtt:>100ms age:<5m pool:>=8
//	in:>1GiB OR out:>1GiB            in is what this end read
//	is:classic,failed expose:shop
//
// Of events:
//
//	level:>=warn source:edge text:timeout
//	kind:dial_failed,connection_closed code:1006
package filter
