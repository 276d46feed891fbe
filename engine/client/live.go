package client

import (
	"adit/engine"
	"adit/engine/policy"
)

// Live is what of a client's options may change while it runs. Its values are not
// changed after they were handed over.
type Live struct {
	Secret string        // credential for the servers, a token or a shared secret; "" none
	Rules  *policy.Rules // for destinations that callers choose; nil allows none
}

// Update puts l in force: rules for the next request, the credential for the next
// dial. by is told as who did it.
func (c *Client) Update(l Live, by engine.Operator) {}
