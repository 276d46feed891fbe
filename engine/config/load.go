package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"adit/engine"
	"adit/engine/policy"
)

// An Input is what a configuration is made of, beside the defaults.
type Input struct {
	Path  string                           // adit.yaml or a file of wsp; "" none
	Env   func(name string) (string, bool) // os.LookupEnv or alike; nil: no environment
	Flags map[string][]string              // those that were given, those without a value with Setting.Bare
}

// A Loaded is what is to know of a configuration beside its values.
type Loaded struct {
	Settings []engine.Setting // each as it is in the end, and where it comes from
	Notices  []string         // for the operator
	Files    []string         // what it was read from: the file, @FILE, certificates, tokens

	exact map[string]exact
	rules [2][]policy.Rule
}

// An exact is what a setting was, for finding out whether it is otherwise now.
type exact struct {
	value   string
	content [sha256.Size]byte // of the files that it names, which every reload reads
	live    bool
}

// A Change is a setting that is otherwise than it was.
type Change struct {
	Name string
	Live bool // a reload puts it in force; if not, a restart does
}

// Changes lists what is otherwise than before, in the order of the settings.
func (l *Loaded) Changes(before *Loaded) []Change {
	var changes []Change
	for i := range l.Settings {
		name := l.Settings[i].Name
		now, known := l.exact[name]
		was := before.exact[name]
		switch {
		case !known:
		case now.value != was.value:
			changes = append(changes, Change{name, now.live})
		case now.content != was.content:
			changes = append(changes, Change{name, true})
		}
	}
	for i, name := range []string{"whitelist", "blacklist"} {
		if !sameRules(l.rules[i], before.rules[i]) {
			changes = append(changes, Change{name, true})
		}
	}
	return changes
}

// At returns where a setting comes from, for the beginning of an error:
// "adit.yaml:12: tls-cert", "--tls-cert".
func (l *Loaded) At(name string) string {
	i := slices.IndexFunc(l.Settings, func(s engine.Setting) bool { return s.Name == name })
	if i < 0 || l.Settings[i].Source == SourceDefault {
		return "--" + name
	}
	source := l.Settings[i].Source
	if source == "--"+name || strings.HasPrefix(source, "ADIT_") {
		return source
	}
	return source + ": " + name
}

// A role is a server or a client that is being loaded.
type role interface {
	settings() []Setting
	applyDocument(d *document, settings []Setting) (notices []string, err error)
	settle() (notices []string, err error)
	refusal(path string, settings []Setting, flags map[string][]string) error
	rules() (white, black []policy.Rule)
}

// load fills r. Its error names everything that is wrong, each on a line of its
// own: first values, and where there is none that contradictions. What is
// returned has Files in any case.
func load(r role, in Input) (*Loaded, error) {
	settings := r.settings()
	from := sources{}
	l := &Loaded{}
	if err := applyDefaults(settings); err != nil {
		return l, err
	}
	var wrong []error
	notices, err := applyFile(r, in.Path, settings, from)
	l.Notices = notices
	wrong = append(wrong, err, applyEnv(settings, in.Env, from), applyFlags(settings, in.Flags, from))
	l.Files = from.files(in.Path, settings)
	if err := errors.Join(wrong...); err != nil {
		return l, err
	}
	more, err := r.settle()
	if err != nil {
		return l, err
	}
	l.Notices = append(l.Notices, more...)
	l.rules[0], l.rules[1] = r.rules()
	l.Settings = withRules(effective(settings, from), from, l.rules[0], l.rules[1])
	l.exact = make(map[string]exact, len(settings))
	for i := range settings {
		s := &settings[i]
		l.exact[s.Name] = exact{value: s.exactly(), content: s.contents(from), live: s.Live}
	}
	return l, r.refusal(in.Path, settings, in.Flags)
}

func applyFile(r role, path string, settings []Setting, from sources) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	d, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	d.from = from
	return r.applyDocument(d, settings)
}

// maxWatched bounds what is read of a file to see whether it is another one, in
// bytes.
const maxWatched = 16 << 20

// contents returns a hash of the files that the setting names. One that can't be
// read counts as empty: whoever needs it says so.
func (s *Setting) contents(from sources) (sum [sha256.Size]byte) {
	if !s.Reads {
		return sum
	}
	var all bytes.Buffer
	for _, path := range from[s.Name].values {
		data, _ := readBounded(path, maxWatched)
		part := sha256.Sum256(data)
		all.Write(part[:])
	}
	return sha256.Sum256(all.Bytes())
}

// LoadServerFrom makes the configuration of adit server from defaults, the file,
// the environment and flags; what a later source sets replaces what an earlier one
// did. Where the error is a *RefusalError only a credential is missing, and there
// is a configuration; otherwise there is none. What it returns second is never nil.
func LoadServerFrom(in Input) (*Server, *Loaded, error) {
	s := new(Server)
	l, err := load(s, in)
	return orNone(s, err), l, err
}

// LoadClientFrom makes the configuration of adit client; see [LoadServerFrom]. A
// *RefusalError says that only a server or what may be reached is missing.
func LoadClientFrom(in Input) (*Client, *Loaded, error) {
	c := new(Client)
	l, err := load(c, in)
	return orNone(c, err), l, err
}

func orNone[T any](c *T, err error) *T {
	var refusal *RefusalError
	if err != nil && !errors.As(err, &refusal) {
		return nil
	}
	return c
}

// Roles returns for which of server and client a file has settings. A file of
// wsp has them for the one whose keys it has.
func Roles(path string) ([]string, error) {
	d, err := readDocument(path)
	if err != nil || d.root == nil {
		return nil, err
	}
	top, err := d.entries("the file", d.root)
	var roles []string
	if d.isWSP(top) {
		name := "server"
		for _, e := range top {
			if slices.Contains(wspClientKeys(), e.key) && !slices.Contains(wspServerKeys(), e.key) {
				name = "client"
			}
		}
		return []string{name}, err
	}
	for _, e := range top {
		if (e.key == "server" || e.key == "client") && !isNull(e.value) {
			roles = append(roles, e.key)
		}
	}
	for _, e := range top {
		if e.key != "server" && e.key != "client" && len(roles) == 0 {
			err = errors.Join(err, d.misplaced(e.at, slices.Concat(ServerSettings(new(Server)), ClientSettings(new(Client)))))
		}
	}
	return roles, err
}

// place is where an entry stands: "adit.yaml:12".
func (d *document) place(line int) string { return fmt.Sprintf("%s:%d", d.path, line) }

// Keeping returns l with those settings as they were before: what waits for a
// restart is a change until then.
func (l *Loaded) Keeping(before *Loaded, names []string) *Loaded {
	kept := *l
	kept.exact = maps.Clone(l.exact)
	for _, name := range names {
		if was, known := before.exact[name]; known {
			kept.exact[name] = was
		}
	}
	return &kept
}
