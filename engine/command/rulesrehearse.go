package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/policy"
)

const (
	maxRehearsed = 1000 // groups that are told apart; what is in others is counted
	maxExamples  = 3    // of each group
)

func newRulesRehearse(p *Process) *cobra.Command {
	var o rehearsal
	var db, old string
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Judge past requests by new rules",
		Long: "Judge the past requests of a run or a database by the rules of a new configuration, and tell which of them " +
			"would be decided otherwise: grouped by method, host, first part of the path and client. What they were decided " +
			"before is what the rules of --config-old say, or, without it, what became of them. Of what the history does not " +
			"have nothing is guessed: such requests are counted, with what would have to be known.\n\n" +
			"It ends with 0 where nothing would change, and 1 where something would.",
		Example: `adit rules rehearse --config new.yaml --since 24h
adit rules rehearse --config new.yaml --config-old adit.yaml --as server --from-db history.db
adit rules rehearse --config new.yaml --filter 'client:edge-* path:/api/' --json`,
		Args: cobra.NoArgs,
	}
	f := addRuleFlags(cmd)
	remote := &remoteFlags{}
	flags := cmd.Flags()
	flags.StringVar(&old, "config-old", "", "the configuration until now [FILE]")
	flags.StringVar(&db, "from-db", "", "history to read, instead of a run [PATH]")
	addReach(cmd, remote)
	remote.addFilter(cmd, "judge only what this selects,", "client:edge-* status:<400")
	flags.DurationVar(&since, "since", 0, "judge only what arrived so long ago at most; 0 all [DURATION]")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := func() (err error) {
			switch {
			case f.file == "" && len(f.allow)+len(f.deny) == 0:
				return errors.New("which rules are to be rehearsed is not known; want --config FILE, --allow or --deny")
			case db != "" && remote.addr != "":
				return errors.New("--from-db and --addr are two places; leave one out")
			case since < 0:
				return errors.New("--since is less than 0")
			}
			if db != "" {
				if _, err := os.Stat(db); err != nil {
					return fmt.Errorf("--from-db: %w", err)
				}
			}
			if _, err = parseFilter(filter.Requests, remote.filter); err != nil {
				return err
			}
			if o.new, err = p.ruleBook(f, f.file); err != nil || old == "" {
				return err
			}
			before := *f
			before.allow, before.deny, before.as = nil, nil, o.new.role()
			o.old, err = p.ruleBook(&before, old)
			return err
		}()
		if err != nil {
			var given *exit
			if !errors.As(err, &given) {
				err = &exit{codeUsage, err}
			}
			return p.verb(func(context.Context) error { return err })(cmd, args)
		}
		remote.addr, remote.json = cmp.Or(db, remote.addr), f.json
		q := engine.RequestQuery{Filter: remote.filter}
		if since > 0 {
			q.Filter = strings.TrimSpace(q.Filter + " age:<" + strconv.FormatInt(int64(since/time.Second)+1, 10) + "s")
		}
		return p.over(remote, func(ctx context.Context, s *session, _ []string) error { return o.run(ctx, s, q) })(cmd, args)
	}
	return cmd
}

// A rehearsal judges past requests by two sets of rules.
type rehearsal struct {
	new, old *ruleBook // old nil: what became of a request says what was decided

	judged, changed, open, never uint64
	needs                        map[string]uint64 // what would have to be known, and of how many
	groups                       map[rehearsedKey]*rehearsed
	others                       uint64 // changes in groups beyond the bound
}

// A rehearsedKey is what requests of a group have in common.
type rehearsedKey struct {
	method, host, path, client string
	verdict                    policy.Verdict // from now on
	rule                       string         // that decides; "" none
}

type rehearsed struct {
	n        uint64
	why      string
	examples []engine.RequestID
}

func (o *rehearsal) run(ctx context.Context, s *session, q engine.RequestQuery) error {
	o.needs, o.groups = map[string]uint64{}, map[rehearsedKey]*rehearsed{}
	err := s.eachRequest(ctx, q, 0, func(list []engine.Request) error {
		for i := range list {
			if err := o.judge(ctx, s, &list[i]); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := s.print(o.append(nil, s.flags.json)); err != nil {
		return err
	}
	if o.changed > 0 {
		return &exit{codeFailed, nil}
	}
	return nil
}

// judge takes in one request.
func (o *rehearsal) judge(ctx context.Context, s *session, r *engine.Request) error {
	if !wasJudged(r) || o.old == nil && r.Outcome == engine.OutcomeNone {
		o.never++
		return nil
	}
	ended := pastRequest{r: r}
	now, err := ended.judge(ctx, s, o.new)
	if err != nil {
		return err
	}
	before := &policy.Explanation{Verdict: policy.Allowed}
	switch {
	case o.old != nil:
		if before, err = ended.judge(ctx, s, o.old); err != nil {
			return err
		}
	case r.Outcome == engine.OutcomeRefused && (!o.new.server || r.Connection == 0):
		before.Verdict = policy.Denied // behind a connection it was the client that refused
	}
	o.judged++
	switch {
	case now.Verdict == policy.Open || before.Verdict == policy.Open:
		o.open++
		for _, x := range []*policy.Explanation{now, before} {
			if x.Verdict == policy.Open {
				o.needs[strings.Join(openNeeds(x), ", ")]++
				break
			}
		}
	case now.Verdict != before.Verdict:
		o.changed++
		o.note(r, now)
	}
	return nil
}

func openNeeds(x *policy.Explanation) []string {
	if x.By != nil {
		return x.By.Needs
	}
	return []string{x.Why}
}

// wasJudged reports whether rules had a say in it: what was refused for another
// reason, the scope of a credential among them, did not come so far, and TCP ports
// have none.
func wasJudged(r *engine.Request) bool {
	return r.Way != engine.WayTCP && r.Target != "" && !strings.HasPrefix(r.Target, "tcp:") &&
		(r.Outcome != engine.OutcomeRefused || r.Status == http.StatusForbidden && !strings.Contains(r.Reason, "scope"))
}

func (o *rehearsal) note(r *engine.Request, now *policy.Explanation) {
	host, path := hostAndPrefix(r.Target)
	key := rehearsedKey{method: r.Method, host: host, path: path, client: r.Client, verdict: now.Verdict}
	why := now.Why
	if now.By != nil {
		key.rule = now.By.Place
		why = strings.Replace(why, now.By.Place, o.new.title(&now.By.Stated), 1)
	}
	g := o.groups[key]
	if g == nil {
		if len(o.groups) == maxRehearsed {
			o.others++
			return
		}
		g = &rehearsed{why: why}
		o.groups[key] = g
	}
	g.n++
	if len(g.examples) < maxExamples {
		g.examples = append(g.examples, r.ID)
	}
}

// hostAndPrefix returns the authority and the first part of the path of a target.
func hostAndPrefix(target string) (host, path string) {
	_, rest, found := strings.Cut(target, "://")
	if !found {
		return target, ""
	}
	i := strings.IndexAny(rest, "/?#")
	if i < 0 {
		return rest, ""
	}
	host, path = rest[:i], rest[i:]
	if end := strings.IndexAny(path[1:], "/?#"); end >= 0 {
		path = path[:end+1]
	}
	return host, path
}

// A pastRequest is a record as rules see it: as far as it is there.
type pastRequest struct {
	r      *engine.Request
	fields http.Header // nil before they were asked for
	gone   bool        // they are not kept, or not whole
}

// judge asks the rules, and the history for the fields only where those decide.
func (x *pastRequest) judge(ctx context.Context, s *session, b *ruleBook) (*policy.Explanation, error) {
	if b.server && b.rules == nil {
		return &policy.Explanation{Verdict: policy.Allowed}, nil
	}
	if !b.server && b.mayExpose(x.r.Target) {
		return &policy.Explanation{Verdict: policy.Open, Why: "way it came: it may be of an exposed name"}, nil
	}
	how := x.explain(b)
	if how.Verdict != policy.Open || x.fields != nil || x.gone || how.By == nil ||
		!slices.ContainsFunc(how.By.Needs, func(need string) bool { return strings.HasPrefix(need, "field ") }) {
		return how, nil
	}
	full, err := s.remote.Request(ctx, x.r.ID)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return nil, err
	}
	x.fields, x.gone = readHead(&full)
	return x.explain(b), nil
}

func (x *pastRequest) explain(b *ruleBook) *policy.Explanation {
	q := queryFor(x.r.Method, x.r.Target)
	not := policy.Unknown{
		// Masked or cut, it is not what was asked.
		URL: strings.Contains(x.r.Target, "***") || len(x.r.Target) > engine.MaxText-4,
	}
	q.Client = x.r.Client
	if x.fields != nil {
		q.Fields = x.fields
	}
	not.Field = func(name string) bool {
		return x.r.Method != http.MethodConnect && (x.fields == nil || b.server && changesOnTheWay(name))
	}
	not.Client = q.Client == ""
	if b.server && !x.r.Replay {
		// A database of before names no credential, as if there had been none.
		q.Caller, not.Caller = x.r.Credential, x.r.Credential == ""
		if from, err := netip.ParseAddrPort(x.r.Caller); err == nil {
			q.From = from.Addr()
		} else if q.From, err = netip.ParseAddr(x.r.Caller); err != nil {
			not.From = true
		}
		// What a caller shows of itself in a CONNECT is no part of the record.
		if x.r.Method == http.MethodConnect {
			not.Field = func(string) bool { return true }
		}
	}
	return b.rules.Explain(&q, not)
}

// mayExpose reports whether a request may have come to an exposed name of the
// client, which its rules do not judge.
func (b *ruleBook) mayExpose(target string) bool {
	host, _ := hostAndPrefix(target)
	label, _, below := strings.Cut(strings.ToLower(host), ".")
	return below && slices.Contains(b.names, label)
}

// changesOnTheWay reports whether a field of what went through the tunnel, which
// the history keeps, is not what the caller sent, which rules of a server judge.
func changesOnTheWay(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Host",
		"Content-Length", "Expect", "Forwarded", "Authorization", "Http2-Settings", "X-Secret-Key":
		return true
	}
	return strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Proxy-") || strings.HasPrefix(name, "X-Forwarded-")
}

// readHead returns the fields of a record's request head; gone says that they are
// not all there.
func readHead(r *engine.Request) (fields http.Header, gone bool) {
	if r.Heads == nil || r.Heads.Cut || r.Heads.Request == "" {
		return nil, true
	}
	fields = http.Header{}
	for line := range strings.SplitSeq(r.Heads.Request, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			name = textproto.CanonicalMIMEHeaderKey(name)
			fields[name] = append(fields[name], strings.TrimPrefix(value, " "))
		}
	}
	return fields, false
}

func (o *rehearsal) append(b []byte, json bool) []byte {
	keys := make([]rehearsedKey, 0, len(o.groups))
	for k := range o.groups {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y rehearsedKey) int {
		return cmp.Or(cmp.Compare(o.groups[y].n, o.groups[x].n), cmp.Compare(x.host, y.host), cmp.Compare(x.path, y.path),
			cmp.Compare(x.method, y.method), cmp.Compare(x.client, y.client), cmp.Compare(x.rule, y.rule))
	})
	needs := make([]string, 0, len(o.needs))
	for need := range o.needs {
		needs = append(needs, need)
	}
	slices.SortFunc(needs, func(x, y string) int { return cmp.Or(cmp.Compare(o.needs[y], o.needs[x]), cmp.Compare(x, y)) })
	if json {
		return o.appendJSON(b, keys, needs)
	}
	g := grid{titles: []string{">REQUESTS", "WOULD BE", "METHOD", "HOST", "PATH", "CLIENT", "WHY", "SUCH AS"}}
	for _, k := range keys {
		group := o.groups[k]
		g.add(countText(group.n), k.verdict.String(), k.method, k.host, k.path, k.client, group.why, exampleText(group.examples))
	}
	b = g.lines(b)
	if o.others > 0 {
		b = fmt.Appendf(b, "%s more in other groups\n", countText(o.others))
	}
	b = fmt.Appendf(b, "%s judged: %s would change, %s can't be told\n", counted(int(o.judged), "request"), countText(o.changed), countText(o.open))
	for _, need := range needs {
		b = fmt.Appendf(b, "  %s: not known is the %s\n", countText(o.needs[need]), need)
	}
	if o.never > 0 {
		b = fmt.Appendf(b, "%s left out: rules had no say in them\n", countText(o.never))
	}
	return b
}

func exampleText(ids []engine.RequestID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.String()
	}
	return strings.Join(words, " ")
}

func (o *rehearsal) appendJSON(b []byte, keys []rehearsedKey, needs []string) []byte {
	for _, k := range keys {
		group := o.groups[k]
		b = appendNumber(append(b, '{'), "requests", int64(group.n))
		b = appendMember(b, "verdict", k.verdict.String())
		b = appendMember(b, "method", k.method)
		b = appendMember(b, "host", k.host)
		b = appendMember(b, "path", k.path)
		b = appendMember(b, "client", k.client)
		b = appendMember(b, "rule", k.rule)
		b = appendMember(b, "why", group.why)
		examples := make([]string, len(group.examples))
		for i, id := range group.examples {
			examples[i] = id.String()
		}
		b = append(appendTexts(appendName(b, "examples"), examples), "}\n"...)
	}
	b = appendNumber(append(b, '{'), "judged", int64(o.judged))
	b = appendNumber(b, "changed", int64(o.changed))
	b = appendNumber(b, "changed_in_other_groups", int64(o.others))
	b = appendNumber(b, "open", int64(o.open))
	b = appendNumber(b, "not_judged", int64(o.never))
	b = append(appendName(b, "open_for"), '[')
	for i, need := range needs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendNumber(appendMember(append(b, '{'), "needs", need), "requests", int64(o.needs[need])), '}')
	}
	return append(b, "]}\n"...)
}
