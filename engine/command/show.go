package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/control"
	"adit/engine/filter"
	"adit/engine/inspect"
)

// showOptions say how much of a request is printed.
type showOptions struct {
	content, secrets bool
}

func newShow(p *Process) *cobra.Command {
	var o showOptions
	var number int
	cmd := &cobra.Command{
		Use:   "show ID|CLIENT...",
		Short: "Show all of a connection, request or client",
		Long: "Show all that is known: of a connection its greeting and frames, of a request where its time went and " +
			"its header fields, of a client its connections. --filter names the newest requests that it selects. Credentials of the traffic are masked unless --secrets is " +
			"given; adit's own are nowhere. Content is there as far as it was captured (--capture content).",
		Example: `adit show c-17
adit show r-4711 --content
adit show r-4711 --json --secrets
adit show --filter 'status:>=500' -n 3
adit show edge-3`,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "requests that this selects,", "status:>=500 dur:>200ms -path:/health")
	cmd.Flags().IntVarP(&number, "number", "n", 10, "requests that --filter selects, the newest, at most [N]")
	cmd.Flags().BoolVar(&o.content, "content", false, "of requests: content and messages too, decoded")
	cmd.Flags().BoolVar(&o.secrets, "secrets", false, "credentials as they are, also where the name of a label says that it is one")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := filterOrArgs(filter.Requests, f, args, "c-ID, r-ID, the id of a client, or --filter")
		if err == nil && number < 1 {
			err = errors.New("-n is out of range; want 1 or more")
		}
		if err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		return p.over(f, func(ctx context.Context, s *session, args []string) error {
			if f.filter != "" {
				ids, err := s.selected(ctx, number)
				if err != nil {
					return err
				}
				if len(ids) == 0 {
					return errors.New("the filter selects no request")
				}
				for _, id := range ids {
					args = append(args, id.String())
				}
			}
			return s.showAll(ctx, args, o)
		})(cmd, args)
	}
	return cmd
}

// showAll prints what is known of each.
func (s *session) showAll(ctx context.Context, args []string, o showOptions) error {
	var missing []string
	for i, what := range args {
		if i > 0 && !s.flags.json {
			if err := s.write([]byte("\n")); err != nil {
				return err
			}
		}
		err := s.show(ctx, what, o)
		if errors.Is(err, engine.ErrNotFound) {
			missing = append(missing, printable(engine.Bound(what)))
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: %w; adit ls clients, adit ls and adit ls requests list what is known", strings.Join(missing, ", "), engine.ErrNotFound)
	}
	return nil
}

// show prints what is known of one thing.
func (s *session) show(ctx context.Context, what string, o showOptions) error {
	if id, err := engine.ParseRequestID(what); err == nil {
		return s.showRequest(ctx, id, o)
	}
	snap, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	if id, err := engine.ParseConnectionID(what); err == nil {
		i := snap.Index(id)
		if i < 0 {
			return engine.ErrNotFound
		}
		return s.showConnection(&snap.Connections[i], snap.Time, o)
	}
	return s.showClient(snap, what, o)
}

// facts are names with their values, one a line.
type facts struct {
	b      []byte
	indent string
}

func (f *facts) add(name, value string) {
	if value == "" {
		return
	}
	f.b = append(f.b, f.indent...)
	f.b = appendCell(f.b, printable(name), 12, false)
	f.b = append(f.b, ' ')
	f.b = append(append(f.b, printable(value)...), '\n')
}

func (f *facts) title(text string) { f.b = append(append(f.b, printable(text)...), '\n') }

func momentText(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(date) + ", " + ageText(t, now) + " ago"
}

func framesText(f engine.Frames) string {
	return fmt.Sprintf("%d text, %d binary, %d continuation, %d close, %d ping, %d pong", f.Text, f.Binary, f.Continuation, f.Close, f.Ping, f.Pong)
}

func (s *session) showConnection(c *engine.Connection, now time.Time, o showOptions) error {
	if s.flags.json {
		return s.write(append(control.AppendConnection(nil, c), '\n'))
	}
	f := &facts{indent: "  "}
	f.title(c.ID.String() + "  " + c.Client)
	f.add("state", fmt.Sprintf("%v, %s in flight", c.State, counted(c.InFlight, "request")))
	f.add("peer", c.Peer)
	f.add("server", c.Server)
	f.add("protocol", c.Protocol.String())
	if c.TLS != (engine.TLS{}) {
		f.add("tls", tlsText(c.TLS))
	}
	f.add("opened", momentText(c.Opened, now))
	f.add("requests", fmt.Sprintf("%d ended, %d of them failed", c.Exchanges, c.Failed))
	if c.RTT > 0 {
		f.add("round trip", fmt.Sprintf("%s ms, at least %s ms", millisText(c.RTT), millisText(c.RTTMin)))
	}
	f.add("in", sizeText(c.BytesIn)+", frames: "+framesText(c.FramesIn))
	f.add("out", sizeText(c.BytesOut)+", frames: "+framesText(c.FramesOut))
	if c.LateRecords > 0 {
		f.add("late", countText(c.LateRecords)+" records came after their exchange was over")
	}
	f.add("credential", c.Credential)
	f.greeting(c.Greeting, o.secrets)
	return s.write(f.b)
}

func tlsText(t engine.TLS) string {
	text := t.Version + ", " + t.Cipher
	if t.Peer != "" {
		text += ", the other end is " + t.Peer
	}
	return text
}

func (f *facts) greeting(g *engine.Greeting, secrets bool) {
	if g == nil {
		f.title("no greeting yet")
		return
	}
	f.title("greeting")
	f.add("id", g.ID)
	f.add("version", g.Version)
	f.add("host", strings.TrimSpace(g.Hostname+" "+g.OS+" "+g.Arch))
	f.add("instance", g.Instance)
	f.add("pool", strconv.Itoa(g.PoolSize))
	names := make([]string, 0, len(g.Labels))
	for name := range g.Labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := g.Labels[name]
		if !secrets && inspect.Secret(name) {
			value = inspect.Masked
		}
		f.add("label", name+"="+value)
	}
	for _, x := range g.Expose {
		f.add("exposes", exposeText(x))
	}
	raw := g.Raw
	if !secrets {
		raw = string(inspect.MaskJSON([]byte(raw)))
	}
	f.add("as it came", raw)
}

func (s *session) showClient(snap *engine.Snapshot, id string, o showOptions) error {
	var list []*engine.Connection
	for i := range snap.Connections {
		if c := &snap.Connections[i]; c.Client == id {
			list = append(list, c)
		}
	}
	i := -1
	rows := groupClients(snap, list, true)
	if i = slices.IndexFunc(rows, func(r *clientRow) bool { return r.id == id }); i < 0 {
		return engine.ErrNotFound
	}
	r := rows[i]
	if s.flags.json {
		return s.write(append(r.appendJSON(nil), '\n'))
	}
	f := &facts{indent: "  "}
	f.title(id)
	if r.banned {
		f.add("state", "banned")
	}
	f.add("connections", strconv.Itoa(r.connections))
	f.add("requests", fmt.Sprintf("%d ended, %d of them failed, %d in flight", r.exchanges, r.failed, r.inFlight))
	f.add("in, out", sizeText(r.in)+", "+sizeText(r.out))
	f.add("oldest", momentText(r.since, snap.Time))
	if r.greeting != nil {
		f.greeting(r.greeting, o.secrets)
	}
	f.b = s.appendConnections(f.b, list, snap.Time)
	return s.write(f.b)
}

func (s *session) showRequest(ctx context.Context, id engine.RequestID, o showOptions) error {
	if err := s.checkSecrets(o.secrets); err != nil {
		return err
	}
	var x inspect.Exchange
	var err error
	if o.content {
		x, err = s.fetch(ctx, id)
	} else {
		x.Request, err = s.remote.Request(ctx, id)
	}
	if err != nil {
		return err
	}
	if o.content && s.withheld != nil {
		s.say("%v: %v", id, s.withheld)
		o.content = false
	}
	if !o.secrets && x.Request.Heads != nil {
		x.Request.Heads = inspect.MaskHeads(x.Request.Heads)
	}
	if s.flags.json {
		return s.write(appendExchange(nil, &x, o))
	}
	f := &facts{indent: "  "}
	f.request(&x.Request, time.Now())
	f.waterfall(&x.Request)
	f.heads(x.Request.Heads)
	if o.content {
		f.content(&x, o)
	}
	return s.write(f.b)
}

func (f *facts) request(r *engine.Request, now time.Time) {
	f.title(strings.TrimSpace(r.ID.String() + "  " + r.Method + " " + r.Target))
	f.add("ended", cmp.Or(verdict(r), r.Outcome.String()))
	if r.Status != 0 {
		f.add("status", strings.TrimSpace(strconv.Itoa(r.Status)+" "+http.StatusText(r.Status)))
	}
	f.add("client", r.Client)
	if r.Connection != 0 {
		f.add("connection", r.Connection.String())
	}
	if r.Protocol != 0 {
		f.add("protocol", r.Protocol.String())
	}
	if r.Way != 0 {
		f.add("way", r.Way.String())
	}
	f.add("caller", r.Caller)
	if r.Credential != "" {
		f.add("credential", r.Credential)
	}
	f.add("arrived", momentText(r.Arrived, now))
	f.add("took", durationText(lasted(r, now)))
	f.add("request", sizeText(uint64(max(r.RequestBytes, 0))))
	f.add("response", sizeText(uint64(max(r.ResponseBytes, 0))))
	if r.Upgraded {
		f.add("upgraded", "yes")
	}
	if r.Replay {
		f.add("replay", "yes")
	}
}

// waterfall shows when each step was reached, and a bar from the one before.
func (f *facts) waterfall(r *engine.Request) {
	const width = 40
	steps := []struct {
		name string
		at   time.Duration
	}{
		{"queued", r.Queued}, {"sent", r.Sent}, {"connected", r.Connect}, {"first byte", r.FirstByte}, {"last byte", r.LastByte},
	}
	longest := time.Duration(0)
	for _, x := range steps {
		longest = max(longest, x.at)
	}
	if longest <= 0 {
		return
	}
	f.title("waterfall, since it arrived")
	before := time.Duration(0)
	for _, x := range steps {
		if x.at < 0 {
			continue
		}
		if x.name == "connected" && x.at == 0 {
			f.add(x.name, "the origin connection was there")
			continue
		}
		from := int(before * width / longest)
		to := max(int(x.at*width/longest), from)
		bar := strings.Repeat(" ", from) + strings.Repeat("=", to-from) + "|"
		f.add(x.name, string(appendCell(nil, durationText(x.at), 7, true))+"  "+bar)
		before = max(before, x.at)
	}
}

func (f *facts) heads(h *engine.Heads) {
	if h == nil {
		f.title("header fields were not kept")
		return
	}
	for _, part := range []struct{ name, lines string }{{"request", h.Request}, {"response", h.Response}} {
		if part.lines == "" {
			continue
		}
		f.title(part.name + " head")
		f.lines(strings.Split(strings.TrimSuffix(part.lines, "\n"), "\n"))
	}
	if h.Cut {
		f.title("some header fields did not fit and were not kept")
	}
}

func (f *facts) lines(lines []string) {
	for _, line := range lines {
		f.b = append(f.b, f.indent...)
		f.b = append(f.b, printable(strings.ReplaceAll(line, "\t", "    "))...)
		f.b = append(f.b, '\n')
	}
}
