package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"adit/engine/config"
	"adit/engine/policy"
)

func newRules(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Explain, list and rehearse rules",
		Long: "Explain what the rules of a server or client decide about a request, list them in the order in which they " +
			"are asked, and rehearse new ones: which past requests they would decide otherwise.\n\n" +
			"What denies comes first (--deny, blacklist), then one of what allows must match (--allow, whitelist). " +
			"Rules are those of a configuration file, of ADIT_ALLOW and ADIT_DENY, and of --allow and --deny.",
		Example: `adit rules test GET http://api.internal/admin --config adit.yaml
adit rules ls --config adit.yaml --as server
adit rules rehearse --config new.yaml --since 24h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newRulesTest(p), newRulesLs(p), newRulesRehearse(p))
	return c
}

// ruleFlags say which rules are meant.
type ruleFlags struct {
	file, as    string
	allow, deny []string
	json        bool
}

func addRuleFlags(cmd *cobra.Command) *ruleFlags {
	f := &ruleFlags{}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.file, "config", "", "read adit.yaml or a file of wsp [FILE]")
	flags.StringVar(&f.as, "as", "", "whose rules (default: those of the only section of the file, else client) [server|client]")
	flags.StringArrayVar(&f.allow, "allow", nil, "as of adit server and adit client [any|RULE]...")
	flags.StringArrayVar(&f.deny, "deny", nil, "as of adit server and adit client [RULE]...")
	flags.BoolVar(&f.json, "json", false, "one JSON object a line")
	return f
}

// A ruleBook is the rules of one end.
type ruleBook struct {
	file   string
	server bool
	rules  *policy.Rules // nil at a server: it has none, and the client decides
	id     string        // of the client whose rules they are
	names  []string      // that the client exposes

	from map[string]string // where the values of allow and deny stand
}

// ruleBook loads the rules that the flags mean.
func (p *Process) ruleBook(f *ruleFlags, file string) (*ruleBook, error) {
	as, err := f.role(file)
	if err != nil {
		return nil, &exit{codeUsage, err}
	}
	b := &ruleBook{file: file, server: as == "server"}
	in := config.Input{Path: file, Env: p.LookupEnv, Flags: map[string][]string{}}
	if len(f.allow) > 0 {
		in.Flags["allow"] = f.allow
	}
	if len(f.deny) > 0 {
		in.Flags["deny"] = f.deny
	}
	var refusal *config.RefusalError
	if b.server {
		c, l, err := config.LoadServerFrom(in)
		if err != nil && !errors.As(err, &refusal) {
			return nil, &exit{codeUsage, err}
		}
		b.note(l)
		b.rules, err = c.Rules()
		return b, err
	}
	c, l, err := config.LoadClientFrom(in)
	if err != nil && !errors.As(err, &refusal) {
		return nil, &exit{codeUsage, err}
	}
	b.note(l)
	b.id = c.ID
	for _, e := range c.Expose {
		if name, _, _, err := config.ParseExpose(e, c.ID); err == nil && name != "" {
			b.names = append(b.names, strings.ToLower(name))
		}
	}
	b.rules, err = c.Rules()
	return b, err
}

// role returns whose rules are meant.
func (f *ruleFlags) role(file string) (string, error) {
	switch f.as {
	case "server", "client":
		return f.as, nil
	case "":
	default:
		return "", fmt.Errorf("--as %q is unknown; want server or client", f.as)
	}
	if file == "" {
		return "client", nil
	}
	roles, err := config.Roles(file)
	if err != nil {
		return "", err
	}
	if len(roles) > 1 {
		return "", fmt.Errorf("%s has rules of a server and of a client; --as says whose are meant", file)
	}
	return append(roles, "client")[0], nil
}

func (b *ruleBook) role() string {
	if b.server {
		return "server"
	}
	return "client"
}

// note keeps where allow and deny come from.
func (b *ruleBook) note(l *config.Loaded) {
	b.from = map[string]string{}
	for _, name := range []string{"allow", "deny"} {
		b.from[name] = strings.TrimSuffix(l.At(name), ": "+name)
	}
}

// at says where a rule stands: "adit.yaml:14", "--allow", "" where that is not
// known.
func (b *ruleBook) at(s *policy.Stated) string {
	if b.file == "" || s.Line == 0 {
		list, _, _ := strings.Cut(s.Place, " ")
		return b.from[list]
	}
	return b.file + ":" + strconv.Itoa(s.Line)
}

// title names a rule: blacklist 3 "no admin" (adit.yaml:14).
func (b *ruleBook) title(s *policy.Stated) string {
	text := s.Place
	if s.Name != "" {
		text += " " + strconv.Quote(s.Name)
	}
	if at := b.at(s); at != "" {
		text += " (" + at + ")"
	}
	return text
}

func effectOf(denies bool) string {
	if denies {
		return "denies"
	}
	return "allows"
}

func newRulesLs(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the rules as they are asked",
		Long: "List the rules of a server or client in the order in which they are asked, and what becomes of a request of " +
			"which none speaks.",
		Example: `adit rules ls --config adit.yaml --as server
adit rules ls --allow '*.corp:443' --deny 10.9.0.0/16 --json`,
		Args: cobra.NoArgs,
	}
	f := addRuleFlags(cmd)
	cmd.RunE = p.verb(func(context.Context) error {
		b, err := p.ruleBook(f, f.file)
		if err != nil {
			return err
		}
		return p.print(b.appendList(nil, f.json))
	})
	return cmd
}

// print writes to stdout; that nobody reads it any more is no fault.
func (p *Process) print(b []byte) error {
	if _, err := p.Stdout.Write(b); err != nil && !isGone(err) {
		return err
	}
	return nil
}

func (b *ruleBook) appendList(out []byte, json bool) []byte {
	list := b.rules.List()
	if json {
		for i := range list {
			out = append(b.appendStated(append(out, '{'), &list[i]), "}\n"...)
		}
		out = appendMember(append(out, '{'), "place", "rest")
		return append(appendMember(out, "effect", b.restEffect()), "}\n"...)
	}
	g := grid{titles: []string{"PLACE", "EFFECT", "NAME", "WHERE", "RULE"}}
	for i := range list {
		s := &list[i]
		g.add(s.Place, effectOf(s.Denies), s.Name, b.at(s), s.Text)
	}
	g.add("rest", b.restEffect(), "", "", b.rest())
	return g.lines(out)
}

// restEffect and rest say what becomes of what no rule speaks of.
func (b *ruleBook) restEffect() string { return effectOf(!b.allowsRest()) }

func (b *ruleBook) allowsRest() bool { return b.server && b.rules == nil || b.rules.All() }

func (b *ruleBook) rest() string {
	switch {
	case b.server && b.rules == nil:
		return "there are no rules: the client decides alone"
	case b.allowsRest():
		return "what no rule speaks of, but metadata and link-local addresses"
	}
	return "what no rule speaks of"
}

func (b *ruleBook) appendStated(out []byte, s *policy.Stated) []byte {
	out = appendMember(out, "place", s.Place)
	out = appendMember(out, "effect", effectOf(s.Denies))
	out = appendMember(out, "name", s.Name)
	out = appendMember(out, "where", b.at(s))
	return appendMember(out, "rule", s.Text)
}

// queryFor returns a request in the terms of rules.
func queryFor(method, target string) policy.Query {
	q := policy.Query{Method: method, URL: target}
	scheme, rest, found := strings.Cut(target, "://")
	if !found {
		q.Host = strings.ToLower(target)
		q.URL = "tcp://" + q.Host
		return q
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	authority := strings.ToLower(rest[:end])
	q.URL = scheme + "://" + authority + rest[end:]
	q.Host = strings.TrimSuffix(authority, ":")
	if strings.LastIndexByte(q.Host, ':') <= strings.LastIndexByte(q.Host, ']') {
		i := slices.Index([]string{"http", "https", "ws", "wss", "h2c"}, strings.ToLower(scheme))
		if i >= 0 {
			q.Host += []string{":80", ":443", ":80", ":443", ":80"}[i]
		}
	}
	return q
}
