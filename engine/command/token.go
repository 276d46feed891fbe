package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine/config"
	"adit/engine/policy"
)

func newToken(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens",
		Long: "Make, list and revoke tokens: credentials of single clients and callers, each with a name, a scope and " +
			"a time when it expires. They are kept in a file, by hash only, that adit server --tokens FILE reads; a " +
			"change takes effect within seconds, and what a revoked token admitted ends.\n\n" +
			"A client shows its token with --secret @FILE. A caller sends it as bearer token, or as the password of " +
			"basic, in Proxy-Authorization or Authorization.",
		Example: `adit token new --file tokens.yaml --name edge --for client > edge.token
adit token ls --file tokens.yaml
adit token revoke --file tokens.yaml edge`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTokenNew(p), newTokenLs(p), newTokenRevoke(p))
	return c
}

// tokenFileFlag gives cmd --file, and returns what says which file is meant.
func (p *Process) tokenFileFlag(cmd *cobra.Command) func() (string, error) {
	var path string
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&path, "file", "", "file of tokens (default: ADIT_TOKENS) [FILE]")
	return func() (string, error) {
		if path == "" && p.LookupEnv != nil {
			path, _ = p.LookupEnv("ADIT_TOKENS")
		}
		if path == "" {
			return "", &exit{codeUsage, errors.New("which file is meant is not known; want --file FILE, or ADIT_TOKENS")}
		}
		return path, nil
	}
}

func newTokenNew(p *Process) *cobra.Command {
	var t policy.Token
	var kind, expires string
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a token and print it, once",
		Long: "Make a token, add its hash to the file, which is made where it is not there yet, and print the token on " +
			"stdout, alone. It can't be had again.\n\n" +
			"--id says which clients it may be, or, of a caller, be served by. --host, --port and --destination say what " +
			"it may expose and carry, or reach: without any of the three everything; with one of them nothing but what is " +
			"named. In ids and hosts * stands for any run of characters; a destination is what --allow of adit client " +
			"takes, but that the server does not resolve names: an address or CIDR is for what is asked for as an address.",
		Example: `# a client that may be edge-1, edge-2... and do everything
adit token new --file tokens.yaml --name edge --for client --id 'edge-*' > edge.token
# one that may expose a name and ports, and carry what is internal
adit token new --file tokens.yaml --name edge --for client --host app --port 20000-20010 --destination '*.internal:80' --expires 720h > edge.token
# a caller who may use one exposed name, until a day
adit token new --file tokens.yaml --name robot --for caller --host app --expires 2030-01-01 --note 'the nightly job'`,
		Args: cobra.NoArgs,
	}
	file := p.tokenFileFlag(c)
	f := c.Flags()
	f.StringVar(&t.Name, "name", "", "whose it is, for records; several may share one [NAME]")
	f.StringVar(&kind, "for", "", "who comes in with it [client|caller]")
	f.StringArrayVar(&t.Scope.IDs, "id", nil, "client that it may be, or be served by [ID]...")
	f.StringArrayVar(&t.Scope.Hosts, "host", nil, "name that it may expose, or reach [NAME]...")
	f.StringArrayVar(&t.Scope.Ports, "port", nil, "port that it may expose for TCP [PORT[-PORT]]...")
	f.StringArrayVar(&t.Scope.Destinations, "destination", nil, "destination that it may carry, or reach [RULE]...")
	f.StringVar(&expires, "expires", "", "when it is worth nothing any more: after 720h or 30d, or at a time (default: never) [TIME]")
	f.StringVar(&t.Note, "note", "", "for people [TEXT]")
	c.RunE = p.verb(func(context.Context) error {
		path, err := file()
		if err != nil {
			return err
		}
		if t.Kind, err = policy.ParseTokenKind(kind); err != nil {
			return &exit{codeUsage, fmt.Errorf("--for: %w", err)}
		}
		t.Created = time.Now().UTC().Truncate(time.Second)
		if t.Expires, err = expiryOf(expires, t.Created); err != nil {
			return &exit{codeUsage, fmt.Errorf("--expires: %w", err)}
		}
		var text string
		text, t.ID, t.Hash = policy.MakeToken()
		if err := t.Check(); err != nil {
			return &exit{codeUsage, err}
		}
		if err := config.AddToken(path, t); err != nil {
			return err
		}
		if _, err := io.WriteString(p.Stdout, text+"\n"); err != nil {
			// Nobody has it.
			_, undo := config.RevokeToken(path, t.ID)
			return errors.Join(fmt.Errorf("print the token: %w", err), undo)
		}
		p.say("%s has the hash of a token for the %s %s: %s, %s; what is printed above can't be had again, adit token revoke %s takes it back",
			path, t.Kind, strconv.Quote(t.Name), &t.Scope, untilText(&t, t.Created), t.ID)
		return nil
	})
	return c
}

// expiryOf reads a duration from now on, or a moment; "" is never.
func expiryOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n int
		if n, err = strconv.Atoi(days); n > 36500 {
			err = strconv.ErrRange
		}
		d = time.Duration(n) * 24 * time.Hour
	}
	at := now.Add(d)
	if err != nil {
		if at, err = config.ParseMoment(text); err != nil {
			return time.Time{}, fmt.Errorf("%q is neither a duration nor a time; want 720h, 30d, 2030-01-02 or 2030-01-02T15:04:05Z", text)
		}
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("%s is past already", at.Format(time.RFC3339))
	}
	return at, nil
}

// untilText says for people until when a token is worth something.
func untilText(t *policy.Token, now time.Time) string {
	switch {
	case t.Expires.IsZero():
		return "for ever"
	case !now.Before(t.Expires):
		return "expired " + t.Expires.Local().Format("2006-01-02 15:04")
	}
	return "until " + t.Expires.Local().Format("2006-01-02 15:04")
}

func newTokenLs(p *Process) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List tokens, without the tokens",
		Long: "List the tokens of a file: whose they are, what they are for, and until when. Hashes are not shown. " +
			"--json prints one object a line.",
		Example: "adit token ls --file tokens.yaml\nadit token ls --file tokens.yaml --json",
		Args:    cobra.NoArgs,
	}
	file := p.tokenFileFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	c.RunE = p.verb(func(context.Context) error {
		path, err := file()
		if err != nil {
			return err
		}
		list, notices, err := config.ReadTokens(path)
		if err != nil {
			return err
		}
		for _, text := range notices {
			p.say("%s", text)
		}
		now := time.Now()
		var b []byte
		if asJSON {
			for i := range list {
				b = append(appendTokenJSON(b, &list[i], now), '\n')
			}
		} else {
			g := grid{titles: []string{"ID", "FOR", "NAME", "EXPIRES", "SCOPE", "NOTE"}}
			slices.SortStableFunc(list, func(x, y policy.Token) int {
				return cmp.Or(cmp.Compare(x.Kind, y.Kind), strings.Compare(x.Name, y.Name))
			})
			for i := range list {
				t := &list[i]
				g.add(t.ID, t.Kind.String(), t.Name, untilText(t, now), t.Scope.String(), t.Note)
			}
			if b = g.lines(nil); len(list) == 0 {
				p.say("%s has no token", path)
			}
		}
		_, err = p.Stdout.Write(b)
		return err
	})
	return c
}

// appendTokenJSON appends a token as an object, without its hash.
func appendTokenJSON(b []byte, t *policy.Token, now time.Time) []byte {
	b = append(b, '{')
	b = appendMember(b, "id", t.ID)
	b = appendMember(b, "name", t.Name)
	b = appendMember(b, "kind", t.Kind.String())
	for _, l := range []struct {
		name  string
		items []string
	}{{"ids", t.Scope.IDs}, {"hosts", t.Scope.Hosts}, {"ports", t.Scope.Ports}, {"destinations", t.Scope.Destinations}} {
		if len(l.items) > 0 {
			b = appendTexts(appendName(b, l.name), l.items)
		}
	}
	if !t.Created.IsZero() {
		b = appendMember(b, "created", t.Created.UTC().Format(time.RFC3339))
	}
	if !t.Expires.IsZero() {
		b = appendMember(b, "expires", t.Expires.UTC().Format(time.RFC3339))
		b = appendFlag(b, "expired", !now.Before(t.Expires))
	}
	b = appendMember(b, "note", t.Note)
	return append(b, '}')
}

func newTokenRevoke(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke ID|NAME...",
		Short: "Take tokens back",
		Long: "Take tokens back, by id, else all of a name, as adit token ls shows them: they are removed from the file. " +
			"A server that reads it closes within seconds what they admitted.",
		Example: "adit token revoke --file tokens.yaml k3j5x2ab\nadit token revoke --file tokens.yaml edge robot",
		Args:    cobra.MinimumNArgs(1),
	}
	file := p.tokenFileFlag(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(context.Context) error {
			path, err := file()
			if err != nil {
				return err
			}
			var wrong []error
			for _, which := range args {
				removed, err := config.RevokeToken(path, which)
				wrong = append(wrong, err)
				for i := range removed {
					p.say("revoked %s, of the %s %s", removed[i].ID, removed[i].Kind, strconv.Quote(removed[i].Name))
				}
			}
			return errors.Join(wrong...)
		})(cmd, args)
	}
	return c
}
