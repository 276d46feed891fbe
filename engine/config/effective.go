package config

import (
	"fmt"

	"adit/engine"
	"adit/engine/policy"
)

// Where a value can come from, as [engine.Setting] names it.
const (
	sourceDefault = "default"
	sourceFile    = "file"
	sourceEnv     = "environment"
	sourceFlag    = "flag"
)

// sources say where each setting that is not a default comes from, by name. A
// nil one keeps nothing.
type sources map[string]string

func (s sources) set(name, source string) {
	if s != nil {
		s[name] = source
	}
}

// effective lists the settings as they are now.
func effective(settings []Setting, from sources) []engine.Setting {
	list := make([]engine.Setting, 0, len(settings)+2)
	for i := range settings {
		s := &settings[i]
		source := from[s.Name]
		if source == "" {
			source = sourceDefault
		}
		list = append(list, engine.Setting{Name: s.Name, Value: s.Get(), Source: source, Help: s.Help})
	}
	return list
}

// withRules adds the lists that only a file has.
func withRules(list []engine.Setting, white, black []policy.Rule) []engine.Setting {
	for _, l := range []struct {
		name, help string
		rules      []policy.Rule
	}{
		{"whitelist", "what requests must match", white},
		{"blacklist", "what requests must not match", black},
	} {
		if len(l.rules) > 0 {
			list = append(list, engine.Setting{Name: l.name, Value: fmt.Sprintf("%d rules", len(l.rules)), Source: sourceFile, Help: l.help})
		}
	}
	return list
}

// Load sets each of settings from its default, the environment or the flags,
// the later before the earlier, where there is no file, and returns them as they
// are then. env may be nil.
func Load(settings []Setting, env func(string) (string, bool), flags map[string][]string) ([]engine.Setting, error) {
	from := sources{}
	if err := applyDefaults(settings); err != nil {
		return nil, err
	}
	if err := applyEnv(settings, env, from); err != nil {
		return nil, err
	}
	if err := applyFlags(settings, flags, from); err != nil {
		return nil, err
	}
	return effective(settings, from), nil
}
