package command

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/control"
)

func newReload(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a run load its configuration again",
		Long: "Have a run load its configuration again: the file that --config named and every file that it or a flag " +
			"refers to. Rules, credentials, certificates, limits, what is captured and the level of the logs change at " +
			"once, and no connection is dropped but those whose credential is gone. What needs a restart is named. A " +
			"configuration with anything wrong changes nothing, and the answer says what is wrong.\n\n" +
			"The same happens when one of these files changes, unless --no-watch, and on SIGHUP where there is no dashboard.",
		Example: "adit reload\nadit reload --reason 'new rules' --json",
		Args:    cobra.NoArgs,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addReason(cmd)
	cmd.RunE = p.over(f, func(ctx context.Context, s *session, _ []string) error {
		far, can := s.remote.(interface {
			Reload(ctx context.Context, by engine.Operator) (control.Reloaded, error)
		})
		if !can {
			return errors.New("a recording has no configuration")
		}
		got, err := far.Reload(ctx, s.operator())
		if err != nil {
			return err
		}
		return s.tellReload(&got)
	})
	return cmd
}

// tellReload prints what a reload came to.
func (s *session) tellReload(got *control.Reloaded) error {
	if s.flags.json {
		b := appendTexts(appendName([]byte("{"), "changed"), got.Changed)
		b = appendTexts(appendName(b, "restart"), got.Restart)
		return s.write(append(b, "}\n"...))
	}
	text := "nothing has changed"
	if len(got.Changed) > 0 {
		text = "changed: " + printable(strings.Join(got.Changed, ", "))
	}
	text += "\n"
	for _, name := range got.Restart {
		text += printable(name) + ": needs a restart\n"
	}
	return s.write([]byte(text))
}
