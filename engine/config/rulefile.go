package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"adit/engine/policy"
)

// The keys of a rule: wsp's, and what there is more.
func ruleKeys() []string {
	return []string{"method", "url", "headers", "name", "address", "ports", "client", "caller", "from"}
}

// rules reads a whitelist or blacklist, of a server or a client.
func (d *document) rules(e entry, server bool) ([]policy.Rule, error) {
	if isNull(e.value) {
		return nil, nil
	}
	if e.value.Kind != yaml.SequenceNode {
		return nil, d.fail(e.value, "%s wants a list of rules, each with method, url or headers", e.key)
	}
	var rules []policy.Rule
	var wrong []error
	for _, item := range e.value.Content {
		item = resolve(item)
		if isNull(item) {
			wrong = append(wrong, d.fail(item, "%s has an empty rule; want method, url or headers", e.key))
			continue
		}
		rule, err := d.rule(e.key, item, server)
		wrong = append(wrong, err)
		rules = append(rules, rule)
	}
	return rules, errors.Join(wrong...)
}

func (d *document) rule(list string, item *yaml.Node, server bool) (policy.Rule, error) {
	rule := policy.Rule{Line: item.Line}
	fields, err := d.entries("a rule of "+list, item)
	if err != nil {
		return rule, err
	}
	for _, f := range fields {
		if into := ruleText(&rule, f.key); into != nil {
			text, err := d.scalars(f, false)
			if err != nil {
				return rule, err
			}
			*into = text[0]
			continue
		}
		switch f.key {
		case "address":
			rule.Address, err = d.ruleList(f)
		case "from":
			rule.From, err = d.ruleList(f)
		case "headers":
			rule.Headers, err = d.ruleHeaders(f)
		default:
			err = d.unknown(f.at, "a rule of "+list, ruleKeys())
		}
		if err != nil {
			return rule, err
		}
	}
	return rule, d.checkRule(list, &rule, item, fields, server)
}

// ruleList reads addresses; none at all would match everything, where nothing was
// meant.
func (d *document) ruleList(f entry) ([]string, error) {
	values, err := d.scalars(f, true)
	if err == nil && len(values) == 0 {
		err = d.fail(f.at, "%s is an empty list; leave it out, or name addresses", f.key)
	}
	return values, err
}

func (d *document) ruleHeaders(f entry) (map[string]string, error) {
	headers, err := d.entries("headers", f.value)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string, len(headers))
	for _, h := range headers {
		text, err := d.scalars(h, false)
		if err != nil {
			return nil, err
		}
		values[h.key] = text[0]
	}
	return values, nil
}

// ruleText returns where a key of a rule that has one value goes, nil if it is
// none.
func ruleText(rule *policy.Rule, key string) *string {
	switch key {
	case "name":
		return &rule.Name
	case "method":
		return &rule.Method
	case "url":
		return &rule.URL
	case "ports":
		return &rule.Ports
	case "client":
		return &rule.Client
	case "caller":
		return &rule.Caller
	}
	return nil
}

// checkRule compiles one rule, so that the error has the line of what is wrong.
func (d *document) checkRule(list string, rule *policy.Rule, item *yaml.Node, fields []entry, server bool) error {
	_, err := (&policy.RuleSet{Whitelist: []policy.Rule{*rule}, Server: server}).Compile()
	if err == nil {
		return nil
	}
	// The text of the policy counts entries; the line says more here.
	_, cause, _ := strings.Cut(err.Error(), ": ")
	key, _, _ := strings.Cut(cause, ":")
	if strings.HasPrefix(key, "header ") {
		key = "headers"
	}
	at := item
	if i := slices.IndexFunc(fields, func(f entry) bool { return f.key == key }); i >= 0 {
		at = fields[i].at
	}
	return d.fail(at, "%s: %s", list, cause)
}

// sameRules reports whether two lists mean the same, wherever they stand.
func sameRules(a, b []policy.Rule) bool {
	return slices.EqualFunc(a, b, func(x, y policy.Rule) bool {
		x.Line, y.Line = 0, 0
		return reflect.DeepEqual(x, y)
	})
}

// addressNotice says of a server's rules what those on addresses don't see, "" where
// there are none.
func addressNotice(rules *policy.Rules) string {
	places := rules.OnAddresses()
	if len(places) == 0 {
		return ""
	}
	more := ""
	if len(places) > 3 {
		more = fmt.Sprintf(" and %d more", len(places)-3)
		places = places[:3]
	}
	return "a server does not resolve names: rules on addresses (" + strings.Join(places, ", ") + more +
		") hold there for what callers write as an address; what names resolve to is for the rules of the client"
}
