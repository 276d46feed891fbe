package command

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/filter"
)

func newCancel(p *Process) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "cancel r-ID...",
		Short: "Cancel requests in flight",
		Long: "Cancel requests in flight. Their callers get 502, or a broken response if it had begun; the connections " +
			"stay. What --filter selects of those in flight is only listed, unless --yes is there too.",
		Example: `adit cancel r-4711
adit cancel r-4711 r-4712 --reason 'wrong bucket'
adit cancel --filter 'path:/export dur:>1m' --yes`,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "requests in flight that this selects,", "path:/export dur:>1m")
	f.addReason(cmd)
	addYes(cmd, &yes)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := filterOrArgs(filter.Requests, f, args, "r-ID, as adit ls requests --filter is:inflight shows them, or --filter"); err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		var steps []step
		for _, arg := range args {
			id, err := engine.ParseRequestID(arg)
			if err != nil {
				return p.refuseUsage(cmd, args, err)
			}
			steps = append(steps, cancelRequest(id))
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if f.filter == "" {
				return s.act(ctx, steps)
			}
			found, err := s.inFlight(ctx)
			if err != nil {
				return err
			}
			if len(found) == 0 {
				s.say("the filter selects no request in flight")
				return nil
			}
			if !yes {
				return s.wouldCancel(found)
			}
			for i := range found {
				steps = append(steps, cancelRequest(found[i].ID))
			}
			return s.act(ctx, steps)
		})(cmd, args)
	}
	return cmd
}

// inFlight returns the requests in flight that --filter selects, the newest first.
func (s *session) inFlight(ctx context.Context) ([]engine.Request, error) {
	var found []engine.Request
	q := engine.RequestQuery{Filter: "is:inflight (" + s.flags.filter + ")"}
	err := s.eachRequest(ctx, q, 0, func(list []engine.Request) error {
		found = append(found, list...)
		return nil
	})
	return found, err
}

// wouldCancel lists what cancel would have hit.
func (s *session) wouldCancel(found []engine.Request) error {
	var b []byte
	if !s.flags.json {
		b = appendRequestTitles(b)
	}
	now := time.Now()
	for i := range found {
		b = s.appendRequest(b, &found[i], now)
	}
	if err := s.write(b); err != nil {
		return err
	}
	s.say("%s would be cancelled; --yes does it", counted(len(found), "request"))
	return nil
}

// newBan is ban, and unban, which takes it back.
func newBan(p *Process, back bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ban CLIENT...",
		Short: "Close connections of clients and refuse them",
		Long: "Close the connections of clients, named by their ids, and refuse them until unban or the end of the " +
			"server. Those that have a connection which --filter selects are only listed, unless --yes is there too.",
		Example: "adit ban edge-3 --reason 'floods'\nadit ban --filter 'client:edge-* rtt:>2s' --yes\nadit ls clients",
	}
	which, example, done := "clients with a connection that this selects,", "client:edge-* rtt:>2s", "banned"
	do := remote.Ban
	if back {
		cmd.Use, cmd.Short = "unban CLIENT...", "Let clients in again that were banned"
		cmd.Long = "Let clients in again that were banned. Those that --filter selects, which knows nothing of them but " +
			"their ids, are only listed, unless --yes is there too."
		cmd.Example = "adit unban edge-3\nadit unban --filter 'client:edge-*' --yes"
		which, example, done = "banned clients that this selects,", "client:edge-*", "no longer banned"
		do = remote.Unban
	}
	ban := func(client string) step {
		return step{client, done, func(ctx context.Context, s *session) error {
			return do(s.remote, ctx, client, s.operator())
		}, "it is not banned; adit ls clients shows those that are"}
	}
	var yes bool
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, which, example)
	f.addReason(cmd)
	addYes(cmd, &yes)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := filterOrArgs(filter.Connections, f, args, "the id of a client, as adit ls clients shows them, or --filter"); err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		return p.over(f, func(ctx context.Context, s *session, clients []string) error {
			if f.filter == "" {
				return s.act(ctx, stepsOn(clients, ban))
			}
			clients, err := s.filteredClients(ctx, back)
			if err != nil {
				return err
			}
			if len(clients) == 0 {
				s.say("the filter selects no client")
				return nil
			}
			if !yes {
				return s.wouldBan(clients, done)
			}
			return s.act(ctx, stepsOn(clients, ban))
		})(cmd, args)
	}
	return cmd
}

func stepsOn(targets []string, act func(target string) step) []step {
	steps := make([]step, 0, len(targets))
	for _, t := range targets {
		steps = append(steps, act(t))
	}
	return steps
}

// filteredClients returns the ids of the clients that --filter selects, in order:
// of the banned ones, or of those with a connection that it selects.
func (s *session) filteredClients(ctx context.Context, banned bool) ([]string, error) {
	found, snap, err := s.filtered(ctx)
	if err != nil {
		return nil, err
	}
	var clients []string
	if banned {
		f, err := parseFilter(filter.Connections, s.flags.filter)
		if err != nil {
			return nil, err
		}
		for _, id := range snap.Banned {
			if f.Connection(&engine.Connection{Client: id}, labelsOf(snap)) {
				clients = append(clients, id)
			}
		}
		return clients, nil
	}
	for _, c := range found {
		if c.Client != "" {
			clients = append(clients, c.Client)
		}
	}
	slices.Sort(clients)
	return slices.Compact(clients), nil
}

// wouldBan lists the clients that an action would have hit.
func (s *session) wouldBan(clients []string, done string) error {
	var b []byte
	for _, id := range clients {
		if s.flags.json {
			b = append(appendMember([]byte("{"), "client", id), "}\n"...)
		} else {
			b = append(append(b, printable(id)...), '\n')
		}
		if err := s.write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	s.say("%s would be %s; --yes does it", counted(len(clients), "client"), done)
	return nil
}
