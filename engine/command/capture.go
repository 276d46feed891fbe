package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/capture"
)

func newCapture(p *Process) *cobra.Command {
	var content []string
	cmd := &cobra.Command{
		Use:   "capture [WHAT]",
		Short: "Say or change what is captured of requests",
		Long: "Say what is captured of requests, or change it from now on until the end of the run: nothing (off), their " +
			"header fields (heads), or their content too (content). --content captures the content of those requests that a filter selects; " +
			"a new word replaces all of them.",
		Example: `adit capture
adit capture content
adit capture heads --content 'client:edge-3' --content 'path:/api/orders'
adit capture off`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"off", "heads", "content"},
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addReason(cmd)
	cmd.Flags().StringArrayVar(&content, "content", nil, "requests whose content is captured too [FILTER]...")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && len(content) > 0 {
			return p.refuseUsage(cmd, args, errors.New("--content needs a word; want adit capture heads --content FILTER"))
		}
		for _, text := range content {
			if _, err := capture.Filter(text); err != nil {
				return p.refuseUsage(cmd, args, filterFault("--content", text, err))
			}
		}
		return p.over(f, func(ctx context.Context, s *session, args []string) error {
			if len(args) == 0 {
				return s.tellCapture(ctx)
			}
			want := engine.Capture{Mode: captureMode(args[0]), Content: content}
			return s.act(ctx, []step{{"capture", captureText(want), func(ctx context.Context, s *session) error {
				return s.remote.SetCapture(ctx, want, s.operator())
			}, ""}})
		})(cmd, args)
	}
	return cmd
}

func captureMode(word string) engine.CaptureMode {
	for m := engine.CaptureOff; m < engine.CaptureContent; m++ {
		if m.String() == word {
			return m
		}
	}
	return engine.CaptureContent
}

// captureText is what is captured, in words.
func captureText(c engine.Capture) string {
	text := c.Mode.String()
	if len(c.Content) > 0 {
		text += ", and the content of " + strings.Join(c.Content, " or ")
	}
	return text
}

// tellCapture prints what is captured now.
func (s *session) tellCapture(ctx context.Context) error {
	snap, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	c := &snap.Capture
	if s.flags.json {
		b := appendMember([]byte("{"), "mode", c.Mode.String())
		b = appendTexts(appendName(b, "content"), c.Content)
		b = appendNumber(b, "bytes", c.Bytes)
		b = appendNumber(b, "limit", c.Limit)
		b = appendNumber(b, "sampling", int64(c.Sampling))
		b = appendNumber(b, "dropped", int64(c.Dropped))
		return s.write(append(b, "}\n"...))
	}
	text := "capture " + captureText(c.Capture) + "\n"
	if c.Limit > 0 {
		text += fmt.Sprintf("in memory %s of %s\n", sizeText(uint64(max(c.Bytes, 0))), sizeText(uint64(c.Limit)))
	}
	if c.Sampling > 1 {
		text += fmt.Sprintf("of the content 1 in %d is kept: there is too much\n", c.Sampling)
	}
	if c.Dropped > 0 {
		text += fmt.Sprintf("content of %d went to make room\n", c.Dropped)
	}
	return s.write([]byte(text))
}
