package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"adit/engine/policy"
)

// resolveWait bounds how long a name is looked up for an explanation.
const resolveWait = 10 * time.Second

func newRulesTest(p *Process) *cobra.Command {
	var o ruleQuestion
	cmd := &cobra.Command{
		Use:   "test METHOD URL",
		Short: "Explain what rules decide about a request",
		Long: "Explain, step by step, what the rules of a server or client decide about a request: how its URL is read, " +
			"which rules match, and what decides in the end. For CONNECT the URL is HOST:PORT. Names are looked up with " +
			"--resolve only.\n\n" +
			"It ends with 0 where the request is allowed, 4 where it is denied, and 1 where that depends on what was not " +
			"said: the client, or what a name resolves to.",
		Example: `adit rules test GET http://api.internal/admin --config adit.yaml --as server --caller robot --from 192.0.2.7
adit rules test POST http://api.internal/ --header 'X-Team: ops' --allow '*.internal'
adit rules test CONNECT db.internal:5432 --allow 10.0.0.0/8 --resolve`,
		Args: cobra.ExactArgs(2),
	}
	f := addRuleFlags(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.headers, "header", nil, "field of the request [NAME:VALUE]...")
	flags.StringVar(&o.client, "client", "", "client that is to carry it (default of a client's rules: its own id) [ID]")
	flags.StringVar(&o.caller, "caller", "", "name of the caller's credential [NAME]")
	flags.StringVar(&o.from, "from", "", "address of the caller [ADDRESS]")
	flags.BoolVar(&o.resolve, "resolve", false, "look the name up, and judge its addresses")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(ctx context.Context) error {
			b, err := p.ruleBook(f, f.file)
			if err != nil {
				return err
			}
			if err := o.read(b, args); err != nil {
				return &exit{codeUsage, err}
			}
			a, err := o.explain(ctx, b, p.lookUp)
			if err != nil {
				return err
			}
			if err := p.print(a.append(nil, f.json)); err != nil {
				return err
			}
			switch a.verdict {
			case policy.Allowed:
				return nil
			case policy.Denied:
				return &exit{codeRefused, nil}
			}
			return &exit{codeFailed, nil}
		})(cmd, args)
	}
	return cmd
}

// A ruleQuestion is what is asked of rules.
type ruleQuestion struct {
	headers              []string
	client, caller, from string
	resolve              bool

	q   policy.Query
	not policy.Unknown
}

func (o *ruleQuestion) read(b *ruleBook, args []string) error {
	o.q = queryFor(args[0], args[1])
	fields := http.Header{}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("--header %q has no name and value; want NAME:VALUE", h)
		}
		fields.Add(name, strings.TrimSpace(value))
	}
	o.q.Fields, o.q.Caller, o.q.Client = fields, o.caller, o.client
	if !b.server {
		if o.caller != "" || o.from != "" {
			return errors.New("a client is not told who the caller is: --caller and --from are for --as server")
		}
		if o.client == "" {
			o.q.Client = b.id
		}
	} else if o.resolve {
		return errors.New("a server does not resolve names: --resolve is for --as client")
	}
	o.not.Client = o.q.Client == ""
	if o.from != "" {
		var err error
		if o.q.From, err = netip.ParseAddr(o.from); err != nil {
			return fmt.Errorf("--from %q is no address", o.from)
		}
	}
	return nil
}

// A ruleAnswer is a decision with what led to it.
type ruleAnswer struct {
	b         *ruleBook
	asked     *policy.Query
	how       *policy.Explanation
	addresses []judgedAddress
	verdict   policy.Verdict
	why       string
}

type judgedAddress struct {
	address netip.Addr
	allowed bool
	why     string
}

// lookUp asks for the addresses of a name.
func (p *Process) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if p.resolve != nil {
		return p.resolve(ctx, "ip", host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (o *ruleQuestion) explain(ctx context.Context, b *ruleBook, lookUp func(context.Context, string) ([]netip.Addr, error)) (*ruleAnswer, error) {
	a := &ruleAnswer{b: b, asked: &o.q}
	if b.server && b.rules == nil {
		a.how = &policy.Explanation{Verdict: policy.Allowed}
		a.verdict, a.why = policy.Allowed, "the server has no rules: the client decides alone"
		return a, nil
	}
	a.how = b.rules.Explain(&o.q, o.not)
	a.verdict, a.why = a.how.Verdict, a.how.Why
	if a.how.By != nil {
		a.why = strings.Replace(a.why, a.how.By.Place, b.title(&a.how.By.Stated), 1)
	}
	if !o.resolve || a.verdict == policy.Denied {
		return a, nil
	}
	permit, err := b.rules.Check(&o.q)
	if err != nil {
		return a, nil // the explanation says it
	}
	host, text, err := net.SplitHostPort(o.q.Host)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	addresses, err := lookUp(ctx, host)
	if err != nil {
		return nil, &exit{codeUnreachable, fmt.Errorf("resolve: %w", err)}
	}
	a.verdict, a.why = policy.Denied, "no address of it is allowed"
	for _, address := range addresses {
		j := judgedAddress{address.Unmap(), permit.Allows(address, uint16(port)), permit.Why(address, uint16(port))}
		if j.allowed && a.verdict == policy.Denied {
			a.verdict, a.why = policy.Allowed, j.address.String()+": "+j.why
		}
		a.addresses = append(a.addresses, j)
	}
	return a, nil
}

func (a *ruleAnswer) append(b []byte, json bool) []byte {
	if json {
		return a.appendJSON(b)
	}
	line := func(label, text string) {
		b = append(appendCell(b, label, 10, false), printable(text)+"\n"...)
	}
	line("asked", a.asked.Method+" "+a.asked.URL+" by the rules of a "+a.b.role())
	if a.how.Destination != "" {
		line("read as", a.how.Destination)
	}
	for i, text := range a.how.Spellings {
		line([]string{"spelt", ""}[min(i, 1)], text)
	}
	if n := len(a.how.Rules); n+a.how.Skipped > 0 {
		line("rules", strconv.Itoa(n+a.how.Skipped)+" asked, of which "+strconv.Itoa(n)+" match or may")
	}
	for i := range a.how.Rules {
		c := &a.how.Rules[i]
		text := a.b.title(&c.Stated) + " " + effectOf(c.Denies) + ": " + c.Text
		if len(c.Needs) > 0 {
			text += "  (depends on the " + strings.Join(c.Needs, ", the ") + ")"
		}
		line("", text)
	}
	for i, j := range a.addresses {
		word := "allowed"
		if !j.allowed {
			word = "denied"
		}
		line([]string{"resolves", ""}[min(i, 1)], j.address.String()+" "+word+": "+j.why)
	}
	if a.verdict == policy.Allowed && !a.b.server && len(a.addresses) == 0 && strings.HasPrefix(a.how.Destination, "name ") {
		line("resolves", "not asked: --resolve does; an address that is metadata, link-local or denied is not dialled")
	}
	word := map[policy.Verdict]string{policy.Allowed: "ALLOWED", policy.Denied: "DENIED", policy.Open: "DEPENDS"}[a.verdict]
	return append(b, word+": "+printable(a.why)+"\n"...)
}

func (a *ruleAnswer) appendJSON(b []byte) []byte {
	b = appendMember(append(b, '{'), "verdict", a.verdict.String())
	b = appendMember(b, "why", a.why)
	b = appendMember(b, "method", a.asked.Method)
	b = appendMember(b, "url", a.asked.URL)
	b = appendMember(b, "role", a.b.role())
	b = appendMember(b, "destination", a.how.Destination)
	if len(a.how.Spellings) > 0 {
		b = appendTexts(appendName(b, "spellings"), a.how.Spellings)
	}
	if by := a.how.By; by != nil {
		b = append(a.b.appendStated(append(appendName(b, "by"), '{'), &by.Stated), '}')
	}
	b = append(appendName(b, "rules"), '[')
	for i := range a.how.Rules {
		if i > 0 {
			b = append(b, ',')
		}
		c := &a.how.Rules[i]
		b = a.b.appendStated(append(b, '{'), &c.Stated)
		if len(c.Needs) > 0 {
			b = appendTexts(appendName(b, "needs"), c.Needs)
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	if len(a.addresses) > 0 {
		b = append(appendName(b, "addresses"), '[')
		for i, j := range a.addresses {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendMember(append(b, '{'), "address", j.address.String())
			b = strconv.AppendBool(appendName(b, "allowed"), j.allowed)
			b = append(appendMember(b, "why", j.why), '}')
		}
		b = append(b, ']')
	}
	return append(b, "}\n"...)
}
