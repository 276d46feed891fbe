package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/inspect"
)

// replayEvery is how often a replay is asked for its answer.
const replayEvery = 50 * time.Millisecond

func newReplay(p *Process) *cobra.Command {
	var (
		edits   inspect.Edits
		set     []string
		content string
		o       replayOptions
		yes     bool
		number  int
	)
	cmd := &cobra.Command{
		Use:   "replay r-ID...",
		Short: "Send captured requests again, changed or not",
		Long: "Send a captured request again, through the same way, as it was or changed by flags; the id of the new " +
			"request is printed, and how it ended. Its record says that it is a replay. A request whose content was not " +
			"kept, or not whole, is refused unless --content gives one. Several go one after the other. What --filter selects " +
			"is only listed, unless --yes is there too.",
		Example: `adit replay r-4711
adit replay r-4711 --client edge-3 --diff
adit replay r-4711 --method POST --set 'Content-Type: application/json' --content @body.json
adit replay r-4711 --target http://app.example.com/v2/orders --remove If-None-Match --wait=false
adit replay --filter 'outcome:origin_failed path:/webhook' --yes`,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "requests that this selects,", "outcome:origin_failed path:/webhook")
	f.addReason(cmd)
	flags := cmd.Flags()
	flags.StringVar(&edits.Client, "client", "", "client that is to serve it (default: the same, or any that exposes the name) [CLIENT]")
	flags.StringVar(&edits.Method, "method", "", "another method [METHOD]")
	flags.StringVar(&edits.Target, "target", "", "another URL [URL]")
	flags.StringArrayVar(&set, "set", nil, "replace a header field [NAME: VALUE]...")
	flags.StringArrayVar(&edits.Remove, "remove", nil, "leave a header field out [NAME]...")
	flags.StringVar(&content, "content", "", "other content, read from the file after @, - for stdin [TEXT|@FILE]")
	flags.BoolVar(&o.wait, "wait", true, "wait for the answer")
	flags.BoolVar(&o.diff, "diff", false, "print how the answer differs from that of the original")
	flags.BoolVar(&o.secrets, "secrets", false, "in differences: credentials as they are")
	flags.IntVarP(&number, "number", "n", 100, "requests that --filter selects, the newest, at most [N]")
	addYes(cmd, &yes)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := filterOrArgs(filter.Requests, f, args, "r-ID or --filter")
		var ids []engine.RequestID
		for _, arg := range args {
			id, e := engine.ParseRequestID(arg)
			if err == nil {
				err = e
			}
			ids = append(ids, id)
		}
		if err == nil && (number < 1 || number > inspect.MaxExport) {
			err = fmt.Errorf("-n is out of range; want 1 to %d", inspect.MaxExport)
		}
		if err == nil {
			edits.Set, err = parseFields(set)
		}
		if err == nil && o.diff && !o.wait {
			err = errors.New("--diff needs the answer; leave --wait=false out")
		}
		if err == nil && flags.Changed("content") {
			edits.Content, err = readContent(content)
		}
		if err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if f.filter != "" {
				if ids, err = s.selected(ctx, number); err != nil {
					return err
				}
				if len(ids) == 0 {
					return errors.New("the filter selects no request")
				}
				if !yes {
					s.say("%s would be sent again; --yes does it", counted(len(ids), "request"))
					return s.listRequests(ctx, engine.ByArrival, number)
				}
			}
			return s.replayAll(ctx, ids, &edits, o)
		})(cmd, args)
	}
	return cmd
}

type replayOptions struct{ wait, diff, secrets bool }

// replayAll sends requests one after the other. One that can't be sent does not
// keep the others from it.
func (s *session) replayAll(ctx context.Context, ids []engine.RequestID, edits *inspect.Edits, o replayOptions) error {
	var failed []string
	for _, id := range ids {
		err := s.replay(ctx, id, edits, o)
		if err == nil {
			continue
		}
		var given *exit
		if len(ids) == 1 || errors.As(err, &given) || errors.Is(err, engine.ErrReadOnly) || errors.Is(err, engine.ErrLost) {
			return err
		}
		s.say("%v", err)
		failed = append(failed, id.String())
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d were not sent: %s", len(failed), len(ids), strings.Join(failed, ", "))
	}
	return nil
}

// parseFields reads lines of a head.
func parseFields(lines []string) ([]engine.Field, error) {
	var fields []engine.Field
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("--set %q: want 'NAME: VALUE'", engine.Bound(line))
		}
		fields = append(fields, engine.Field{Name: name, Value: strings.TrimSpace(value)})
	}
	return fields, nil
}

// readContent returns content as it was given, or from the file after @.
func readContent(v string) ([]byte, error) {
	path, isFile := strings.CutPrefix(v, "@")
	if !isFile {
		return []byte(v), nil
	}
	from := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--content: %w", err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, engine.MaxReplay+1))
	if err == nil && len(data) > engine.MaxReplay {
		err = fmt.Errorf("more than %s, which a replay takes at most", sizeText(engine.MaxReplay))
	}
	if err != nil {
		return nil, fmt.Errorf("--content: %w", err)
	}
	return data, nil
}

// fetch returns a request with what was kept of its content, as far as we may see
// it.
func (s *session) fetch(ctx context.Context, id engine.RequestID) (inspect.Exchange, error) {
	x, err := inspect.Fetch(ctx, s.remote, id)
	if errors.Is(err, engine.ErrReadOnly) {
		x.Content, s.withheld, err = nil, err, nil
	}
	if errors.Is(err, engine.ErrNotFound) {
		err = engine.ErrNotFound // who it is stands in front of it
	}
	if err != nil {
		err = fmt.Errorf("%v: %w", id, err)
	}
	return x, err
}

// replay sends a request again and prints what came of it.
func (s *session) replay(ctx context.Context, of engine.RequestID, edits *inspect.Edits, o replayOptions) error {
	original, err := s.fetch(ctx, of)
	if err != nil {
		return err
	}
	if s.withheld != nil {
		return s.withheld
	}
	what, err := inspect.Prepare(&original, edits)
	if err == nil {
		err = inspect.Check(&what)
	}
	if err != nil {
		return fmt.Errorf("%v was not sent again: %w", of, err)
	}
	id, err := s.remote.Replay(ctx, what, s.operator())
	if err != nil {
		return fmt.Errorf("%v was not sent again: %w", of, err)
	}
	if !o.wait {
		if s.flags.json {
			return s.write(append(appendMember([]byte("{"), "id", id.String()), "}\n"...))
		}
		return s.write([]byte(id.String() + "\n"))
	}
	answer, err := s.ended(ctx, id)
	if err != nil {
		return err
	}
	var b []byte
	if s.flags.json {
		b = appendExchange(b, answer, showOptions{content: true, secrets: o.secrets})
	} else {
		b = s.appendReplay(b, &original, answer)
		if o.diff {
			b = appendDifferences(b, &original, answer, o.secrets)
		}
	}
	return s.write(b)
}

// ended waits for the end of a request.
func (s *session) ended(ctx context.Context, id engine.RequestID) (*inspect.Exchange, error) {
	tick := time.NewTicker(replayEvery)
	defer tick.Stop()
	for {
		r, err := s.remote.Request(ctx, id)
		switch {
		case err != nil && !errors.Is(err, engine.ErrNotFound): // its record may be on the way
			return nil, err
		case err == nil && !r.InFlight():
			x, err := s.fetch(ctx, id)
			return &x, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, &exit{codeInterrupted, fmt.Errorf("%v still runs; adit show %v tells how it ends", id, id)}
		}
	}
}

// appendReplay appends one line on the answer and one on the original.
func (s *session) appendReplay(b []byte, original, answer *inspect.Exchange) []byte {
	g := grid{titles: []string{"REQUEST", "", ">STATUS", ">TOOK", ">SIZE", "CLIENT", "ENDED"}}
	for _, x := range []struct {
		*inspect.Exchange
		what string
	}{{original, "original"}, {answer, "replay"}} {
		r := &x.Request
		g.add(r.ID.String(), x.what, statusText(r.Status), durationText(lasted(r, time.Now())),
			sizeText(uint64(max(r.ResponseBytes, 0))), r.Client, cmp.Or(verdict(r), r.Outcome.String()))
	}
	return g.lines(b)
}

// appendDifferences appends how two answers differ, as a diff has it: - of the
// first, + of the second. What differs each time is left out.
func appendDifferences(b []byte, original, answer *inspect.Exchange, secrets bool) []byte {
	c := inspect.Compare(original, answer, inspect.Look{Secrets: secrets})
	if c.Partial {
		b = append(b, "not all of the content is known: there may be more than this\n"...)
	}
	if c.Differences == 0 {
		return append(b, "no differences\n"...)
	}
	title := ""
	for _, row := range c.Rows {
		if row.Title {
			title = row.Left
			continue
		}
		if row.Change == inspect.Same || row.Change == inspect.Noise {
			continue
		}
		if title != "" {
			b, title = append(append(b, printable(title)...), '\n'), ""
		}
		if row.Change != inspect.Added {
			b = append(append(append(b, "- "...), printable(row.Left)...), '\n')
		}
		if row.Change != inspect.Removed {
			b = append(append(append(b, "+ "...), printable(row.Right)...), '\n')
		}
	}
	return b
}
