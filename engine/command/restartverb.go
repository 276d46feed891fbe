package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/control"
)

func newRestart(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restart",
		Short: "Have a server start anew without a gap",
		Long: "Have a server start its program anew, as it was started, and hand it the sockets that it listens on. " +
			"When the new process serves, the old one sends its clients away, which dial again at once, lets " +
			"exchanges finish for as long as --grace, and ends. No caller gets an error; what endures longer, like " +
			"a WebSocket, is cut.\n\n" +
			"A new process that does not get ready in 30s changes nothing, and the answer says why. The same happens " +
			"on SIGUSR2. A server with a dashboard, a client, and Windows can't do it.",
		Example: "adit restart\nadit restart --reason 'new version' --json",
		Args:    cobra.NoArgs,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addReason(cmd)
	cmd.RunE = p.over(f, func(ctx context.Context, s *session, _ []string) error {
		far, can := s.remote.(interface {
			Restart(ctx context.Context, by engine.Operator) (control.Restarted, error)
		})
		if !can {
			return errors.New("a recording has no process")
		}
		got, err := far.Restart(ctx, s.operator())
		if err != nil {
			return err
		}
		if s.flags.json {
			b := strconv.AppendInt(appendName([]byte("{"), "pid"), int64(got.PID), 10)
			return s.write(append(b, "}\n"...))
		}
		return s.write(fmt.Appendf(nil, "process %d has taken over\n", got.PID))
	})
	return cmd
}
