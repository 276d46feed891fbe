package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
)

// A Form is in what form keys and themes are written.
type Form uint8

// Forms.
const (
	FormList     Form = iota // what there is, one a line
	FormCheck                // what is wrong with the operator's file; an error if anything is
	FormMarkdown             // for documentation
)

// formFlags adds the flags that choose a form.
func formFlags(c *cobra.Command) (form func() (Form, error)) {
	check := c.Flags().Bool("check", false, "print what is wrong with the file; exit code 1 if anything is")
	md := c.Flags().Bool("md", false, "print tables in Markdown")
	return func() (Form, error) {
		switch {
		case *check && *md:
			return 0, &exit{codeUsage, errors.New("--check and --md contradict each other; leave one out")}
		case *check:
			return FormCheck, nil
		case *md:
			return FormMarkdown, nil
		}
		return FormList, nil
	}
}

func newKeys(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys [FILE]",
		Short: "Print what the dashboard's keys mean",
		Long: "Print what the dashboard's keys mean, with what FILE says over the set of keys " +
			"(without it keys.yaml of adit's directory of settings), and the conflicts.",
		Example: "adit keys\nadit keys --keys emacs --md\nadit keys --check keys.yaml",
		Args:    cobra.MaximumNArgs(1),
	}
	form := formFlags(c)
	set := c.Flags().String("keys", "", "set of keys; $ADIT_KEYS [vim+arrows|emacs|basic]")
	run := func(args []string) error {
		f, err := form()
		if err != nil {
			return err
		}
		if *set == "" && p.LookupEnv != nil {
			*set, _ = p.LookupEnv("ADIT_KEYS")
		}
		return p.Keys(p.Stdout, f, *set, first(args))
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(context.Context) error { return run(args) })(cmd, args)
	}
	return c
}

func newThemes(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "themes [DIRECTORY]",
		Short: "Print the dashboard's themes",
		Long: "Print the dashboard's themes, those of DIRECTORY among them (without it themes of " +
			"adit's directory of settings), and what is wrong with these.",
		Example: "adit themes\nadit themes --check .",
		Args:    cobra.MaximumNArgs(1),
	}
	form := formFlags(c)
	run := func(args []string) error {
		f, err := form()
		if err != nil {
			return err
		}
		return p.Themes(p.Stdout, f, first(args))
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(context.Context) error { return run(args) })(cmd, args)
	}
	return c
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
