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
	"adit/engine/inspect"
)

// replayEvery is how often a replay is asked for its answer.
const replayEvery = 50 * time.Millisecond

func newReplay(p *Process) *cobra.Command {
	var (
		edits       inspect.Edits
		set         []string
		content     string
		wait, diff  bool
		withSecrets bool
	)
	cmd := &cobra.Command{
		Use:   "replay r-ID",
		Short: "Send a captured request again, as it was or changed",
		Long: "Send a captured request again, through the same way, as it was or changed by flags; the id of the new " +
			"request is printed, and how it ended. Its record says that it is a replay. A request whose content was not " +
			"kept, or not whole, is refused unless --content gives one.",
		Example: `adit replay r-4711
adit replay r-4711 --client edge-3 --diff
adit replay r-4711 --method POST --set 'Content-Type: application/json' --content @body.json
adit replay r-4711 --target http://app.example.com/v2/orders --remove If-None-Match --wait=false`,
		Args: cobra.ExactArgs(1),
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addReason(cmd)
	flags := cmd.Flags()
	flags.StringVar(&edits.Client, "client", "", "client that is to serve it (default: the same, or any that exposes the name) [CLIENT]")
	flags.StringVar(&edits.Method, "method", "", "another method [METHOD]")
	flags.StringVar(&edits.Target, "target", "", "another URL [URL]")
	flags.StringArrayVar(&set, "set", nil, "replace a header field [NAME: VALUE]...")
	flags.StringArrayVar(&edits.Remove, "remove", nil, "leave a header field out [NAME]...")
	flags.StringVar(&content, "content", "", "other content, read from the file after @, - for stdin [TEXT|@FILE]")
	flags.BoolVar(&wait, "wait", true, "wait for the answer")
	flags.BoolVar(&diff, "diff", false, "print how the answer differs from that of the original")
	flags.BoolVar(&withSecrets, "secrets", false, "in differences: credentials as they are")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := engine.ParseRequestID(args[0])
		if err == nil {
			edits.Set, err = parseFields(set)
		}
		if err == nil && diff && !wait {
			err = errors.New("--diff needs the answer; leave --wait=false out")
		}
		if err == nil && flags.Changed("content") {
			edits.Content, err = readContent(content)
		}
		if err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			original, err := s.fetch(ctx, id)
			if err != nil {
				return fmt.Errorf("%v: %w", id, err)
			}
			if s.withheld != nil {
				return s.withheld
			}
			what, err := inspect.Prepare(&original, &edits)
			if err == nil {
				err = inspect.Check(&what)
			}
			if err != nil {
				return fmt.Errorf("not sent: %w", err)
			}
			return s.replay(ctx, &original, what, wait, diff, withSecrets)
		})(cmd, args)
	}
	return cmd
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
	return x, err
}

// replay sends what and prints what came of it.
func (s *session) replay(ctx context.Context, original *inspect.Exchange, what engine.Replay, wait, diff, secrets bool) error {
	id, err := s.remote.Replay(ctx, what, s.operator())
	if err != nil {
		return err
	}
	if !wait {
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
		b = appendExchange(b, answer, showOptions{content: true, secrets: secrets})
	} else {
		b = s.appendReplay(b, original, answer)
		if diff {
			b = appendDifferences(b, original, answer, secrets)
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
