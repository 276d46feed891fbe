package command

import (
	"github.com/spf13/cobra"

	"adit/engine/config"
)

// A settings is what the command line says of the settings of engine/config:
// the values as they were given, which config checks.
type settings struct {
	file  string
	given map[string][]string
}

// addSettings gives cmd a flag for each setting, and --config.
func addSettings(cmd *cobra.Command, table []config.Setting) *settings {
	s := &settings{given: addFlags(cmd, table)}
	cmd.Flags().StringVar(&s.file, "config", "", "read adit.yaml or a file of wsp; flags and environment go before it [FILE]")
	return s
}

// input returns what the configuration is made of.
func (s *settings) input(p *Process) config.Input {
	return config.Input{Path: s.file, Env: p.LookupEnv, Flags: s.given}
}

// addFlags gives cmd a flag for each setting and returns where the values will
// be, by name.
func addFlags(cmd *cobra.Command, table []config.Setting) (given map[string][]string) {
	given = map[string][]string{}
	flags := cmd.Flags()
	flags.SortFlags = false
	for _, setting := range table {
		f := flags.VarPF(&rawFlag{setting: setting, given: given}, setting.Name, "", usageOf(&setting))
		f.NoOptDefVal = setting.Bare
	}
	return given
}

func usageOf(s *config.Setting) string {
	switch {
	case s.Value == "":
		return s.Help
	case s.Repeatable:
		return s.Help + " [" + s.Value + "]..."
	}
	return s.Help + " [" + s.Value + "]"
}

// A rawFlag keeps the values of one flag as text.
type rawFlag struct {
	setting config.Setting
	given   map[string][]string
}

// String returns the default: what was given may be a credential.
func (f *rawFlag) String() string { return f.setting.Default }

func (f *rawFlag) Set(v string) error {
	f.given[f.setting.Name] = append(f.given[f.setting.Name], v)
	return nil
}

func (f *rawFlag) Type() string {
	if f.setting.Bare == "true" {
		return "bool"
	}
	return "string"
}
