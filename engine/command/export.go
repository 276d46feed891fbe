package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/inspect"
)

type exportFlags struct {
	har, content, output string
	curl, secrets, raw   bool
	number               int
}

func newExport(p *Process) *cobra.Command {
	var o exportFlags
	cmd := &cobra.Command{
		Use:   "export r-ID...",
		Short: "Write requests as HAR, curl lines or content",
		Long: "Write requests, named or selected by --filter, as HAR 1.2, which browsers and other tools open, or as " +
			"lines for a shell that send them again, or as one JSON object a line with heads and content; or the content " +
			"of one as a file. Content is there as far as it was captured. Credentials of the traffic are masked unless --secrets is given; content that is written as a file is " +
			"what went through.",
		Example: `adit export --filter 'status:>=500 time:-1h..' --har failures.har
adit export r-4711 r-4712 --har -
adit export r-4711 --curl --secrets
adit export --filter 'status:>=500' --json -o failures.ndjson
adit export r-4711 --content response -o answer.json`,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "requests that this selects,", "status:>=500 dur:>200ms -path:/health")
	flags := cmd.Flags()
	flags.StringVar(&o.har, "har", "", "write HAR 1.2; - is stdout [FILE|-]")
	flags.BoolVar(&o.curl, "curl", false, "print a line for a shell of each")
	flags.StringVar(&o.content, "content", "", "write the content of one, its coding undone [request|response]")
	flags.StringVarP(&o.output, "output", "o", "-", "where --json, --content and --curl go [FILE|-]")
	flags.BoolVar(&o.raw, "raw", false, "of --content: as it went through, its coding not undone")
	flags.BoolVar(&o.secrets, "secrets", false, "credentials as they are")
	flags.IntVarP(&o.number, "number", "n", inspect.MaxExport, "requests that --filter selects, the newest, at most [N]")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := o.check(f, args)
		if err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if len(ids) == 0 {
				if ids, err = s.selected(ctx, o.number); err != nil {
					return err
				}
				if len(ids) == 0 {
					return errors.New("the filter selects no request")
				}
			}
			return s.export(ctx, ids, &o)
		})(cmd, args)
	}
	return cmd
}

// check reads the ids and reports what contradicts itself.
func (o *exportFlags) check(f *remoteFlags, args []string) ([]engine.RequestID, error) {
	forms := 0
	for _, is := range []bool{o.har != "", o.curl, o.content != "", f.json} {
		if is {
			forms++
		}
	}
	if forms != 1 {
		return nil, errors.New("want one of --har FILE, --curl, --json and --content request|response")
	}
	if err := filterOrArgs(filter.Requests, f, args, "r-ID or --filter"); err != nil {
		return nil, err
	}
	var ids []engine.RequestID
	for _, arg := range args {
		id, err := engine.ParseRequestID(arg)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	switch {
	case o.content != "" && o.content != "request" && o.content != "response":
		return nil, fmt.Errorf("--content %q is unknown; want request or response", engine.Bound(o.content))
	case o.content != "" && len(ids) != 1:
		return nil, errors.New("--content is of one request; want one r-ID")
	case o.number < 1 || o.number > inspect.MaxExport:
		return nil, fmt.Errorf("-n is out of range; want 1 to %d", inspect.MaxExport)
	}
	return ids, nil
}

// selected returns the ids of the newest requests that --filter selects, in
// order of arrival.
func (s *session) selected(ctx context.Context, number int) ([]engine.RequestID, error) {
	var ids []engine.RequestID
	err := s.eachRequest(ctx, engine.RequestQuery{Filter: s.flags.filter}, number, func(list []engine.Request) error {
		for i := range list {
			ids = append(ids, list[i].ID)
		}
		return nil
	})
	slices.Reverse(ids)
	return ids, err
}

func (s *session) export(ctx context.Context, ids []engine.RequestID, o *exportFlags) error {
	if err := s.checkSecrets(o.secrets); err != nil {
		return err
	}
	options := inspect.Options{Secrets: o.secrets}
	if s.onlyLooks() {
		options.Missing = "not shown to those who may only look"
	}
	switch {
	case o.curl:
		return s.into(o.output, func(w io.Writer) error {
			for _, id := range ids {
				x, err := s.fetch(ctx, id)
				if err != nil {
					return err
				}
				line := inspect.Curl(&x, options)
				if line == "" {
					line = "# " + id.String() + " carried bytes, not HTTP"
				}
				if _, err := io.WriteString(w, line+"\n"); err != nil {
					return err
				}
			}
			return nil
		})
	case s.flags.json:
		return s.into(o.output, func(w io.Writer) error { return s.exportJSON(ctx, w, ids, o.secrets) })
	case o.content != "":
		return s.exportContent(ctx, ids[0], o)
	}
	rest, gone := ids, 0
	next := func() (inspect.Exchange, error) {
		for len(rest) > 0 {
			id := rest[0]
			rest = rest[1:]
			x, err := s.fetch(ctx, id)
			if errors.Is(err, engine.ErrNotFound) && s.flags.filter != "" {
				gone++ // it was there when the filter was asked
				continue
			}
			return x, err
		}
		return inspect.Exchange{}, io.EOF
	}
	err := s.into(o.har, func(w io.Writer) error {
		return inspect.HAR(w, "adit", ShortVersion(s.Version), next, options)
	})
	if err == nil && o.har != "-" {
		s.say("%s in %s", counted(len(ids)-gone, "request"), o.har)
	}
	return err
}

// exportJSON writes one object for each.
func (s *session) exportJSON(ctx context.Context, w io.Writer, ids []engine.RequestID, secrets bool) error {
	for _, id := range ids {
		x, err := s.fetch(ctx, id)
		if errors.Is(err, engine.ErrNotFound) && s.flags.filter != "" {
			continue // it was there when the filter was asked
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(appendExchange(nil, &x, showOptions{content: true, secrets: secrets})); err != nil {
			return err
		}
	}
	return nil
}

// exportContent writes the content of one direction.
func (s *session) exportContent(ctx context.Context, id engine.RequestID, o *exportFlags) error {
	x, err := s.fetch(ctx, id)
	if err != nil {
		return err
	}
	if s.withheld != nil {
		return s.withheld
	}
	if x.Content == nil {
		return fmt.Errorf("the content of %v was not kept; --capture content on the run keeps it from then on", id)
	}
	side := sidesOf(&x)[0]
	if o.content == "response" {
		side = sidesOf(&x)[1]
	}
	data := side.part.Data
	if len(data) == 0 && side.part.Size > 0 {
		return fmt.Errorf("no bytes of the %s content of %v were kept; `adit show %v` has what was: messages, where it carried any", side.name, id, id)
	}
	if !o.raw {
		d := inspect.Decode(inspect.Get(side.head, "content-encoding"), data)
		if d.Left != "" {
			s.say("its coding %s can't be undone: it is written as it is", d.Left)
		}
		data = d.Data
	}
	if !side.part.Whole() {
		s.say("only the first %s of %s were kept", sizeText(uint64(len(side.part.Data))), sizeText(uint64(max(side.part.Size, 0))))
	}
	if o.output == "-" && s.Terminal && !isHarmless(data) {
		return errors.New("the content has bytes that a terminal would obey, or can't show; -o FILE writes it to a file, -o - | cat shows it all the same")
	}
	return s.into(o.output, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// isHarmless reports whether a terminal shows data and does nothing else: text
// in lines.
func isHarmless(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	return bytes.IndexFunc(data, func(c rune) bool { return !unicode.IsPrint(c) && c != '\n' && c != '\t' && c != '\r' }) < 0
}

// into writes a file, which is there only when all of it is, or stdout, or what
// stands there that is no file: a device is not to be replaced by one.
func (s *session) into(path string, write func(w io.Writer) error) error {
	if path == "-" {
		return write(s.Stdout)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		err = write(f)
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error says more
	}
	return err
}
