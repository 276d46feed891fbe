package command

import (
	"crypto/tls"
	"errors"
	"fmt"

	"adit/engine/certs"
	"adit/engine/config"
)

// checkServerFiles reads the files that a server's settings name, as its start
// does, and reports all that is wrong with them.
func checkServerFiles(c *config.Server, l *config.Loaded) error {
	var wrong []error
	if c.Tokens != "" {
		_, _, err := config.ReadTokens(c.Tokens)
		wrong = append(wrong, at(l, "tokens", err))
	}
	t := &c.TLS
	if len(t.Cert) > 0 {
		source, err := certs.New(certs.Options{Cert: t.Cert, Key: t.Key})
		if err == nil {
			source.Close()
		}
		wrong = append(wrong, at(l, "tls-cert", err))
	}
	wrong = append(wrong, checkPool(l, "client-ca", t.ClientCA), checkPool(l, "caller-ca", t.CallerCA), checkPool(l, "acme-ca", t.ACMECA),
		checkControlFiles(&c.Control, l))
	return errors.Join(wrong...)
}

// checkClientFiles does the same for a client's.
func (p *Process) checkClientFiles(c *config.Client, l *config.Loaded) error {
	_, err := p.openEgress(&c.Egress)
	name := "ca"
	if c.Egress.CA == "" {
		name = "tls-cert"
	}
	return errors.Join(at(l, name, err), checkControlFiles(&c.Control, l))
}

func checkControlFiles(c *config.Control, l *config.Loaded) error {
	if c.Listen == "" {
		return nil
	}
	_, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	return errors.Join(at(l, "control-cert", err), checkPool(l, "control-client-ca", c.ClientCA))
}

func checkPool(l *config.Loaded, name, path string) error {
	if path == "" {
		return nil
	}
	_, err := certs.Pool(path)
	return at(l, name, err)
}

// at says of an error which setting it is about, and where that stands.
func at(l *config.Loaded, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", l.At(name), err)
}
