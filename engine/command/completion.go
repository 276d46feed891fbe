package command

import (
	"context"
	_ "embed"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The scripts ask the program what a word may become. None of these evaluates what
// is typed or what comes back; that of PowerShell is cobra's, and evaluates the
// line that is typed.
var (
	//go:embed shell/adit.bash
	bashScript string
	//go:embed shell/adit.zsh
	zshScript string
	//go:embed shell/adit.fish
	fishScript string
)

func newCompletion(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes words of a shell",
		Long: "Print a script with which a shell completes verbs, flags and their values: ids of the connections, requests and " +
			"clients of the run that a verb would ask, words of filters, choices, and files. SHELL is bash, zsh, fish or " +
			"powershell. Packages install the scripts; else put one where the shell looks for it, and open a new shell.\n\n" +
			"For the shell that runs: source <(adit completion bash), or zsh; adit completion fish | source; " +
			"adit completion powershell | Out-String | Invoke-Expression. zsh needs compinit, bash nothing.",
		Example: `# for every bash, zsh (where fpath has this directory) and fish
adit completion bash > ~/.local/share/bash-completion/completions/adit
adit completion zsh > ~/.zfunc/_adit
adit completion fish > ~/.config/fish/completions/adit.fish
adit completion powershell > adit.ps1`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(context.Context) error {
			if err := writeCompletion(p.Stdout, cmd.Root(), args[0]); err != nil {
				return fmt.Errorf("print the script for %s: %w", args[0], err)
			}
			return nil
		})(cmd, args)
	}
	return cmd
}

func writeCompletion(w io.Writer, root *cobra.Command, shell string) error {
	var err error
	switch shell {
	case "bash":
		_, err = io.WriteString(w, bashScript)
	case "zsh":
		_, err = io.WriteString(w, zshScript)
	case "fish":
		_, err = io.WriteString(w, fishScript)
	default:
		err = root.GenPowerShellCompletionWithDesc(w)
	}
	return err
}
