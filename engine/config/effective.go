package config

import (
	"fmt"
	"slices"

	"adit/engine"
	"adit/engine/policy"
)

// SourceDefault is the [engine.Setting.Source] of what nobody has set. All
// others name the exact place: "adit.yaml:12", "ADIT_LISTEN", "--listen".
const SourceDefault = "default"

// A source is where a setting comes from, and its values as they stand there.
type source struct {
	place  string
	values []string
}

// sources are those of each setting that is not a default, by name. A nil one
// keeps nothing.
type sources map[string]source

func (s sources) set(name, place string, values []string) {
	if s != nil {
		s[name] = source{place, values}
	}
}

func (s sources) place(name string) string {
	if place := s[name].place; place != "" {
		return place
	}
	return SourceDefault
}

// files returns what is read for the settings, each once: path and what values
// name.
func (s sources) files(path string, settings []Setting) []string {
	var files []string
	add := func(path string) {
		if path != "" && !slices.Contains(files, path) {
			files = append(files, path)
		}
	}
	add(path)
	for i := range settings {
		for _, v := range s[settings[i].Name].values {
			switch {
			case settings[i].Reads:
				add(v)
			case settings[i].Secret:
				if file, is := settings[i].secretFile(v); is {
					add(file)
				}
			}
		}
	}
	return files
}

// effective lists the settings as they are now.
func effective(settings []Setting, from sources) []engine.Setting {
	list := make([]engine.Setting, 0, len(settings)+2)
	for i := range settings {
		s := &settings[i]
		list = append(list, engine.Setting{Name: s.Name, Value: s.Get(), Source: from.place(s.Name), Help: s.Help})
	}
	return list
}

// withRules adds the lists that only a file has.
func withRules(list []engine.Setting, from sources, white, black []policy.Rule) []engine.Setting {
	for _, l := range []struct {
		name, help string
		rules      []policy.Rule
	}{
		{"whitelist", "what requests must match", white},
		{"blacklist", "what requests must not match", black},
	} {
		if n := len(l.rules); n > 0 {
			value := fmt.Sprintf("%d rules", n)
			if n == 1 {
				value = "1 rule"
			}
			list = append(list, engine.Setting{Name: l.name, Value: value, Source: from.place(l.name), Help: l.help})
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
