package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/filter"
)

// refuseUsage is what cobra runs where the command line is wrong.
func (p *Process) refuseUsage(cmd *cobra.Command, args []string, err error) error {
	return p.verb(func(context.Context) error { return &exit{codeUsage, err} })(cmd, args)
}

// noArgsErr is what an action says that was not told on what to act.
func noArgsErr(want string) error {
	return fmt.Errorf("nothing is named; want %s", want)
}

func newKill(p *Process) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "kill ID...",
		Short: "Close connections, or cancel requests",
		Long: "Close connections at once, with the requests in flight on them, or cancel single requests. A client " +
			"dials again; ban keeps it away. What is named goes at once. What --filter selects is only listed, unless " +
			"--yes is there too.",
		Example: `adit kill c-17 c-18 --reason 'leaks memory'
adit kill r-4711
adit kill --filter 'client:edge-* rtt:>2s'
adit kill --filter 'client:edge-* rtt:>2s' --yes`,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "connections that this selects,", "client:edge-* rtt:>2s -state:busy")
	f.addReason(cmd)
	addYes(cmd, &yes)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := filterOrArgs(filter.Connections, f, args, "c-ID or r-ID, or --filter"); err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		steps, err := killSteps(args)
		if err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if f.filter == "" {
				return s.act(ctx, steps)
			}
			found, snap, err := s.filtered(ctx)
			if err != nil {
				return err
			}
			if !yes || len(found) == 0 {
				return s.wouldHit(found, snap.Time, "closed")
			}
			for _, c := range found {
				steps = append(steps, killConnection(c.ID))
			}
			return s.act(ctx, steps)
		})(cmd, args)
	}
	return cmd
}

// addYes gives an action the flag that turns listing into doing.
func addYes(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVar(yes, "yes", false, "do it to what --filter selects, instead of listing it")
}

// filterOrArgs checks that an action knows on what to act.
func filterOrArgs(subject filter.Subject, f *remoteFlags, args []string, want string) error {
	switch {
	case f.filter == "" && len(args) == 0:
		return noArgsErr(want)
	case f.filter != "" && len(args) > 0:
		return errors.New("ids and --filter are given; want one of them")
	}
	_, err := parseFilter(subject, f.filter)
	return err
}

// A step is one action on one thing.
type step struct {
	on   string // "c-17"
	done string // what was done to it: "closed"
	do   func(ctx context.Context, s *session) error
	gone string // where it is not found: what that means
}

const goneConnection = "adit ls shows those that are open"

func killConnection(id engine.ConnectionID) step {
	return step{id.String(), "closed", func(ctx context.Context, s *session) error {
		return s.remote.CloseConnection(ctx, id, engine.CloseKilled, s.operator())
	}, goneConnection}
}

func cancelRequest(id engine.RequestID) step {
	return step{id.String(), "cancelled", func(ctx context.Context, s *session) error {
		return s.remote.CancelExchange(ctx, id, s.operator())
	}, "it is not in flight; adit show " + id.String() + " says how it ended"}
}

// killSteps reads ids of connections and requests.
func killSteps(args []string) ([]step, error) {
	var steps []step
	for _, arg := range args {
		if id, err := engine.ParseConnectionID(arg); err == nil {
			steps = append(steps, killConnection(id))
		} else if id, err := engine.ParseRequestID(arg); err == nil {
			steps = append(steps, cancelRequest(id))
		} else {
			return nil, fmt.Errorf("%q is no id; want c-NUMBER or r-NUMBER, as adit ls shows them; --filter 'client:%s' finds those of a client", engine.Bound(arg), engine.Bound(arg))
		}
	}
	return steps, nil
}

// filtered returns the connections that --filter selects.
func (s *session) filtered(ctx context.Context) ([]*engine.Connection, *engine.Snapshot, error) {
	f, err := parseFilter(filter.Connections, s.flags.filter)
	if err != nil {
		return nil, nil, err
	}
	snap, err := s.snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	return selectConnections(snap, f), snap, nil
}

// wouldHit lists what an action would have hit.
func (s *session) wouldHit(found []*engine.Connection, now time.Time, done string) error {
	if err := s.write(s.appendConnections(nil, found, now)); err != nil {
		return err
	}
	if len(found) == 0 {
		s.say("the filter selects no connection")
		return nil
	}
	s.say("%s would be %s; --yes does it", counted(len(found), "connection"), done)
	return nil
}

// act takes every step and says of each what came of it. The error names those
// that failed.
func (s *session) act(ctx context.Context, steps []step) error {
	var failed []string
	var refusal error
	for _, x := range steps {
		bounded, cancel := context.WithTimeout(ctx, actWait)
		err := x.do(bounded, s)
		cancel()
		if errors.Is(err, engine.ErrNotFound) && x.gone != "" {
			err = fmt.Errorf("%w; %s", engine.ErrNotFound, x.gone)
		}
		if errors.Is(err, engine.ErrReadOnly) || errors.Is(err, engine.ErrLost) {
			return err // it would be the same for all others
		}
		if err := s.tellStep(x, err); err != nil {
			return err
		}
		if err != nil {
			failed = append(failed, x.on)
			refusal = err
		}
	}
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s: %w", printable(failed[0]), refusal)
	}
	return fmt.Errorf("%d of %d failed: %s", len(failed), len(steps), printable(strings.Join(failed, ", ")))
}

// tellStep prints what came of a step.
func (s *session) tellStep(x step, err error) error {
	if !s.flags.json {
		if err != nil {
			return nil // the end says it
		}
		return s.write([]byte(printable(x.on) + " " + x.done + "\n"))
	}
	result := x.done
	if err != nil {
		result = "failed"
	}
	b := appendMember([]byte("{"), "target", x.on)
	b = appendMember(b, "result", result)
	if err != nil {
		b = appendMember(b, "error", err.Error())
	}
	return s.write(append(b, "}\n"...))
}

func newDrain(p *Process) *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "drain c-ID...",
		Short: "Let requests finish, then close or end",
		Long: "Give connections no new requests and close each when those in flight are over; --all does so with all " +
			"and then ends the run. What --filter selects is only listed, unless --yes is there too.",
		Example: `adit drain c-17
adit drain --filter 'client:edge-3 age:>24h' --yes
adit drain --all --reason 'new version'`,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "connections that this selects,", "client:edge-* rtt:>2s -state:busy")
	f.addReason(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "everything, and end the run")
	addYes(cmd, &yes)
	drain := func(id engine.ConnectionID) step {
		on := id.String()
		if id == 0 {
			on = "everything"
		}
		return step{on, "draining", func(ctx context.Context, s *session) error { return s.remote.Drain(ctx, id, s.operator()) }, goneConnection}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var steps []step
		for _, arg := range args {
			id, err := engine.ParseConnectionID(arg)
			if err != nil {
				return p.refuseUsage(cmd, args, err)
			}
			steps = append(steps, drain(id))
		}
		switch {
		case all && (len(args) > 0 || f.filter != ""):
			return p.refuseUsage(cmd, args, errors.New("--all stands alone; leave ids and --filter out"))
		case all:
			steps = append(steps, drain(0))
		default:
			if err := filterOrArgs(filter.Connections, f, args, "c-ID, --filter or --all"); err != nil {
				return p.refuseUsage(cmd, args, err)
			}
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if f.filter == "" {
				return s.act(ctx, steps)
			}
			found, snap, err := s.filtered(ctx)
			if err != nil {
				return err
			}
			if !yes || len(found) == 0 {
				return s.wouldHit(found, snap.Time, "drained")
			}
			for _, c := range found {
				steps = append(steps, drain(c.ID))
			}
			return s.act(ctx, steps)
		})(cmd, args)
	}
	return cmd
}
