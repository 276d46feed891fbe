package client

import (
	"strings"

	"adit/engine/policy"
	"adit/engine/wire"
)

// check asks the rules of this end about a destination that a caller chose.
func (x *exchange) check(q *policy.Query) (policy.Permit, error) {
	q.Client = x.n.c.o.ID
	return x.force.live.Rules.Check(q)
}

// asked is a request as rules see it.
type asked wire.Request

// Values implements [policy.Fields].
func (r *asked) Values(name string) []string {
	var values []string
	for i := range r.Fields {
		if strings.EqualFold(r.Fields[i].Name, name) {
			values = append(values, r.Fields[i].Value)
		}
	}
	return values
}
