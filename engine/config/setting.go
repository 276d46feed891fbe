package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// A Setting is the one definition of a setting, whatever source it comes from.
type Setting struct {
	Name       string // flag, and key in adit.yaml: "tcp-ports"
	Help       string // one line for people, without the default
	Default    string // in the form that Set takes; "": none, or told in Help
	Value      string // what help calls the value: "DURATION"; "" for a switch
	Bare       string // meaning of the flag without a value; "": it needs one
	Repeatable bool   // flag repeated, list in the file; comma separated in the environment, where no value can hold one
	Secret     bool   // takes @FILE; never shown
	Group      string // heading in documentation: "TLS"
	Live       bool   // a reload puts a new value in force; if not, a restart does
	Reads      bool   // the values name files; a reload puts what is new in them in force

	// Set replaces the value. A setting that is not repeatable takes the last
	// of values. Its error says what is wrong with the value and shows none that
	// is secret.
	Set func(values []string) error

	// Get returns the value as it is now, for showing: of a credential only
	// whether there is one.
	Get func() string

	named bool          // takes NAME=@FILE too
	exact func() string // what it is exactly, where Get does not say; nil: Get
}

// exactly returns what the value is, a credential included.
func (s *Setting) exactly() string {
	if s.exact != nil {
		return s.exact()
	}
	return s.Get()
}

// live marks a setting that a reload can change.
func live(s Setting) Setting {
	s.Live = true
	return s
}

// reads marks a setting whose values name files.
func reads(s Setting) Setting {
	s.Reads = true
	return s
}

// grouped gives settings a heading.
func grouped(title string, settings []Setting) []Setting {
	for i := range settings {
		settings[i].Group = title
	}
	return settings
}

// Env returns the name of the environment variable: "ADIT_TCP_PORTS". An empty
// variable is as good as none.
func (s *Setting) Env() string {
	return "ADIT_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// scalar makes a Set that takes the last value.
func scalar(set func(value string) error) func([]string) error {
	return func(values []string) error {
		if len(values) == 0 {
			return errors.New("has no value")
		}
		return set(values[len(values)-1])
	}
}

func textSetting(into *string, name, value, fallback, help string, check func(string) (string, error)) Setting {
	return Setting{Name: name, Help: help, Default: fallback, Value: value, Set: scalar(func(v string) error {
		checked, err := check(v)
		if err == nil {
			*into = checked
		}
		return err
	}), Get: func() string { return *into }}
}

func choiceSetting(into *string, name, fallback, help string, choices ...string) Setting {
	return textSetting(into, name, strings.Join(choices, "|"), fallback, help, func(v string) (string, error) {
		for _, c := range choices {
			if v == c {
				return v, nil
			}
		}
		return "", fmt.Errorf("%q is unknown; want %s", engine.Bound(v), anyOf(choices))
	})
}

func switchSetting(into *bool, name, help string) Setting {
	return Setting{Name: name, Help: help, Default: "false", Bare: "true", Set: scalar(func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is no switch; want true or false", engine.Bound(v))
		}
		*into = b
		return nil
	}), Get: func() string { return strconv.FormatBool(*into) }}
}

func numberSetting(into *int, name, fallback, help string, least, most int) Setting {
	return Setting{Name: name, Help: help, Default: fallback, Value: "N", Set: scalar(func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is out of range; want a number from %d to %d", engine.Bound(v), least, most)
		}
		*into = n
		return nil
	}), Get: func() string { return strconv.Itoa(*into) }}
}

func durationSetting(into *time.Duration, name, fallback, help string, least, most time.Duration) Setting {
	return Setting{Name: name, Help: help, Default: fallback, Value: "DURATION", Set: scalar(func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is no duration; want a number with a unit, such as 500ms, 20s or 1h", engine.Bound(v))
		}
		if d < least || d > most {
			return fmt.Errorf("%s is out of range; want %s", engine.Bound(v), durationRange(least, most))
		}
		*into = d
		return nil
	}), Get: func() string { return into.String() }}
}

// forever is the upper bound of a duration that has none.
const forever = time.Duration(math.MaxInt64)

func durationRange(least, most time.Duration) string {
	if most == forever {
		return fmt.Sprintf("%s or more", least)
	}
	return fmt.Sprintf("%s to %s", least, most)
}

func listSetting(into *[]string, name, value, help string, check func(string) (string, error)) Setting {
	return Setting{Name: name, Help: help, Value: value, Repeatable: true, Set: func(values []string) error {
		list := make([]string, 0, len(values))
		for _, v := range values {
			checked, err := check(v)
			if err != nil {
				return err
			}
			list = append(list, checked)
		}
		*into = list
		return nil
	}, Get: func() string { return strings.Join(*into, ", ") }}
}

func secretsSetting(into *[]string, name, help string) Setting {
	return secretsBy(resolveSecret, into, name, help)
}

// namedSecretsSetting is secretsSetting of what may have a name before it, also
// where a file has the rest.
func namedSecretsSetting(into *[]string, name, help string) Setting {
	s := secretsBy(resolveNamed, into, name, help)
	s.named = true
	return s
}

func secretsBy(resolve func(string) (string, error), into *[]string, name, help string) Setting {
	s := listSetting(into, name, "SECRET|@FILE", help, resolve)
	s.Secret = true
	s.Get = func() string { return isSet(len(*into)) }
	s.exact = func() string { return strings.Join(*into, "\x00") }
	return s
}

func secretSetting(into *string, name, help string) Setting {
	s := textSetting(into, name, "SECRET|@FILE", "", help, resolveSecret)
	s.Secret = true
	s.Get = func() string { return isSet(len(*into)) }
	s.exact = func() string { return *into }
	return s
}

// isSet says of a credential whether there is one.
func isSet(n int) string {
	if n == 0 {
		return "not set"
	}
	return "set"
}

// notEmpty is the check of a text that must be something.
func notEmpty(v string) (string, error) {
	if v == "" {
		return "", errors.New("is empty")
	}
	return v, nil
}

// anyOf joins words for people: "a, b or c".
func anyOf(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// applyDefaults sets what has a default.
func applyDefaults(settings []Setting) error {
	for i := range settings {
		s := &settings[i]
		if s.Default == "" {
			continue
		}
		if err := s.Set([]string{s.Default}); err != nil {
			return fmt.Errorf("default of --%s: %w", s.Name, err)
		}
	}
	return nil
}

// applyEnv sets what has a variable that is not empty.
func applyEnv(settings []Setting, env func(string) (string, bool), from sources) error {
	if env == nil {
		return nil
	}
	var wrong []error
	for i := range settings {
		s := &settings[i]
		text, _ := env(s.Env())
		if text == "" {
			continue
		}
		values := []string{text}
		if s.Repeatable {
			values = splitList(text)
		}
		if err := s.Set(values); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", s.Env(), err))
		}
		from.set(s.Name, s.Env(), values)
	}
	return errors.Join(wrong...)
}

// splitList cuts at commas and trims spaces; empty items are left out.
func splitList(text string) []string {
	var values []string
	for _, v := range strings.Split(text, ",") {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, v)
		}
	}
	return values
}

// applyFlags sets what was given as a flag. Names that are no setting, such as
// config, are the caller's own.
func applyFlags(settings []Setting, flags map[string][]string, from sources) error {
	var wrong []error
	for i := range settings {
		s := &settings[i]
		values, given := flags[s.Name]
		if !given {
			continue
		}
		if err := s.Set(values); err != nil {
			wrong = append(wrong, fmt.Errorf("--%s: %w", s.Name, err))
		}
		if !s.Repeatable {
			values = values[max(len(values)-1, 0):]
		}
		from.set(s.Name, "--"+s.Name, values)
	}
	return errors.Join(wrong...)
}
