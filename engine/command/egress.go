package command

import (
	"adit/engine/config"
	"adit/engine/egress"
)

// openEgress reads what a client needs on the way to its servers.
func (p *Process) openEgress(c *config.Egress) (*egress.Dialer, error) {
	d, err := egress.New(egress.Options{
		Proxy: c.Proxy, CA: c.CA, Cert: c.Cert, Key: c.Key, ServerName: c.ServerName, LookupEnv: p.LookupEnv,
	})
	if err != nil {
		return nil, &exit{codeUsage, err}
	}
	return d, nil
}
