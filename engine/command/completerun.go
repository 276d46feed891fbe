package command

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/filter"
)

const (
	// completeWait bounds what a shell waits for a run, from finding its socket to
	// the last answer.
	completeWait = 400 * time.Millisecond

	// completeRequests is how many of the newest requests are offered.
	completeRequests = 100

	// completeDatabase is how large a database may be, in bytes, that is opened
	// for its ids.
	completeDatabase = 64 << 20
)

// A glimpse is what a run says within the time that a shell waits.
type glimpse struct {
	ctx    context.Context
	remote remote
	snap   *engine.Snapshot
	close  func()
}

// glimpse asks the run that the flags of cmd mean, or returns nil.
func (c completer) glimpse(cmd *cobra.Command) *glimpse {
	f := &remoteFlags{}
	for name, into := range map[string]*string{"addr": &f.addr, "token": &f.token, "cert": &f.cert, "key": &f.key, "ca": &f.ca} {
		if flag := cmd.Flags().Lookup(name); flag != nil {
			*into = flag.Value.String()
		}
	}
	if cmd.Flags().Lookup("addr") == nil {
		return nil
	}
	o, err := c.dialOptions(f)
	if err != nil {
		return nil
	}
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completeWait)
	address, err := c.findAddress(ctx, f)
	if err != nil || !mayAsk(address, o.Token != "" || f.cert != "") {
		cancel()
		return nil
	}
	r, err := c.dialRemote(ctx, address, o)
	if err != nil {
		cancel()
		return nil
	}
	g := &glimpse{ctx: ctx, remote: r, snap: new(engine.Snapshot), close: func() { r.Close(); cancel() }}
	if r.Wait(ctx) != nil || r.Snapshot(ctx, g.snap) != nil {
		g.close()
		return nil
	}
	return g
}

// mayAsk reports whether a key that is pressed may reach an address: over the
// network only with a credential, of databases none that takes long to open.
func mayAsk(address string, credential bool) bool {
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		return err == nil && u.Scheme == "https" && (credential || u.User != nil)
	}
	info, err := os.Stat(strings.TrimPrefix(address, "unix:"))
	return err != nil || !info.Mode().IsRegular() || info.Size() <= completeDatabase
}

// ids completes what a verb acts on.
func (c completer) ids(cmd *cobra.Command, verb string, args []string, typed string) offer {
	o := nothing()
	o.directive |= cobra.ShellCompDirectiveKeepOrder
	g := c.glimpse(cmd)
	if g == nil {
		return o
	}
	defer g.close()
	if verb == "show" || verb == "kill" || verb == "drain" {
		g.connections(&o, args, typed)
	}
	switch verb {
	case "show", "ban":
		g.clients(&o, args, typed)
	case "unban":
		for _, id := range g.snap.Banned {
			o.addNew(args, id, "banned", typed)
		}
	}
	switch verb {
	case "show":
		g.requests(&o, args, "", typed)
	case "kill", "cancel":
		g.requests(&o, args, "is:inflight", typed)
	case "replay", "export":
		g.requests(&o, args, "-is:inflight", typed)
	}
	return o
}

// addNew offers a word that is not there yet.
func (o *offer) addNew(args []string, word, note, typed string) {
	if !slices.Contains(args, word) {
		o.add(word, note, typed)
	}
}

func (g *glimpse) connections(o *offer, args []string, typed string) {
	for i := range g.snap.Connections {
		c := &g.snap.Connections[i]
		o.addNew(args, c.ID.String(), strings.Join([]string{cmp.Or(c.Client, c.Peer, c.Server), c.State.String(), ageText(c.Opened, g.snap.Time)}, " "), typed)
	}
}

func (g *glimpse) clients(o *offer, args []string, typed string) {
	count := map[string]int{}
	for i := range g.snap.Connections {
		if id := g.snap.Connections[i].Client; id != "" {
			count[id]++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(count)) {
		o.addNew(args, id, counted(count[id], "connection"), typed)
	}
}

// requests offers the newest that a filter selects.
func (g *glimpse) requests(o *offer, args []string, text, typed string) {
	if !strings.HasPrefix("r-", typed) && !strings.HasPrefix(typed, "r-") {
		return
	}
	var page engine.RequestPage
	if g.remote.Requests(g.ctx, engine.RequestQuery{Filter: text, Count: completeRequests}, &page) != nil {
		return
	}
	for i := range page.Requests {
		r := &page.Requests[i]
		end := statusText(r.Status)
		if end == "" {
			end = verdict(r)
		}
		o.addNew(args, r.ID.String(), strings.Join([]string{r.Method, cmp.Or(end, "-"), ageText(r.Arrived, time.Now()), shortTarget(r.Target)}, " "), typed)
	}
}

// shortTarget leaves out of a target what is the same for most, and the query,
// where credentials may be.
func shortTarget(target string) string {
	target, _, _ = strings.Cut(target, "?")
	_, rest, found := strings.Cut(target, "://")
	if !found {
		return target
	}
	return rest
}

// asksRun reports whether values of a field are those of what there is.
func asksRun(field string) bool {
	switch field {
	case "client", "conn", "credential", "expose", "host", "hostname", "version", "os", "arch", "server":
		return true
	}
	return strings.HasPrefix(field, "label.")
}

// seen returns the values of a field that connections have, the most frequent
// first; of "label." the names of labels.
func (g *glimpse) seen(field string) []filter.Seen {
	count := map[string]int{}
	for i := range g.snap.Connections {
		c := &g.snap.Connections[i]
		for _, v := range valuesOf(c, field) {
			if v != "" {
				count[v]++
			}
		}
	}
	list := make([]filter.Seen, 0, len(count))
	for text, n := range count {
		list = append(list, filter.Seen{Text: text, Count: n})
	}
	slices.SortFunc(list, func(a, b filter.Seen) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
	return list
}

func valuesOf(c *engine.Connection, field string) []string {
	switch field {
	case "client":
		return []string{c.Client}
	case "conn":
		return []string{c.ID.String()}
	case "credential":
		return []string{c.Credential}
	case "server":
		return []string{c.Server}
	}
	g := c.Greeting
	if g == nil {
		return nil
	}
	switch field {
	case "expose", "host":
		var names []string
		for i := range g.Expose {
			names = append(names, g.Expose[i].Host)
		}
		return names
	case "hostname":
		return []string{g.Hostname}
	case "version":
		return []string{g.Version}
	case "os":
		return []string{g.OS}
	case "arch":
		return []string{g.Arch}
	case "label.":
		return slices.Collect(maps.Keys(g.Labels))
	}
	if name, is := strings.CutPrefix(field, "label."); is {
		return []string{g.Labels[name]}
	}
	return nil
}

// addresses completes whom to ask: the sockets of this user that somebody listens
// on, and the databases of its runs.
func (c completer) addresses(typed string) offer {
	o := offer{directive: cobra.ShellCompDirectiveDefault}
	ctx, cancel := context.WithTimeout(context.Background(), completeWait)
	defer cancel()
	if paths, err := sockets(c.LookupEnv); err == nil {
		for _, path := range alive(ctx, paths) {
			o.add(path, "runs", typed)
		}
	}
	if dir, err := stateDir(c.LookupEnv); err == nil {
		found, _ := filepath.Glob(filepath.Join(dir, "*.db"))
		for _, path := range found {
			o.add(path, "history", typed)
		}
	}
	return o
}

// tokens completes the tokens of a file.
func (c completer) tokens(cmd *cobra.Command, args []string, typed string) offer {
	o := nothing()
	path := ""
	if flag := cmd.Flags().Lookup("file"); flag != nil {
		path = flag.Value.String()
	}
	if path = c.setting(path, "ADIT_TOKENS"); path == "" {
		return o
	}
	list, _, err := config.ReadTokens(path)
	if err != nil {
		return o
	}
	for i := range list {
		t := &list[i]
		o.addNew(args, t.ID, t.Kind.String()+" "+t.Name, typed)
	}
	return o
}
