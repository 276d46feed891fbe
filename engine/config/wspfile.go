package config

import (
	"net"
	"slices"
	"strconv"
	"time"

	"adit/engine"
)

// The keys of wsp's two programs, as both forks spell them. The forks ignore a
// key that they do not know; here only those of older versions are, with a
// notice, since a misspelt whitelist would open everything.
func wspServerKeys() []string {
	return []string{"host", "port", "timeout", "idletimeout", "secretkey", "whitelist", "blacklist"}
}

func wspClientKeys() []string {
	return []string{"targets", "poolidlesize", "poolmaxsize", "id", "secretkey", "whitelist", "blacklist"}
}

func wspFormerKeys() []string { return []string{"poolminsize", "poolminidlesize"} }

// wspSetting returns the setting that stands for a key of wsp.
func wspSetting(key string) string {
	switch key {
	case "host", "port":
		return "listen"
	case "secretkey":
		return "secret"
	case "targets":
		return "server"
	case "poolidlesize":
		return "pool-idle"
	case "poolmaxsize":
		return "pool-max"
	}
	return key
}

func isWSPKey(key string) bool {
	return slices.Contains(wspServerKeys(), key) || slices.Contains(wspClientKeys(), key)
}

// wspFields returns the entries of a wsp file that are this role's and have a
// value. Keys of the other role are skipped, unless the file has only such.
func (d *document) wspFields(role string, top []entry, known, others []string) (fields []entry, notices []string, err error) {
	foreign := ""
	for _, e := range top {
		switch {
		case slices.Contains(known, e.key):
			if !isNull(e.value) {
				fields = append(fields, e)
				d.from.set(wspSetting(e.key), d.place(e.at.Line), nil)
			}
			if !slices.Contains(others, e.key) {
				foreign = "-"
			}
		case slices.Contains(others, e.key):
			if foreign == "" {
				foreign = e.key
			}
		case slices.Contains(wspFormerKeys(), e.key):
			notices = append(notices, d.fail(e.at, "%s means nothing to wsp any more and is ignored", e.key).Error())
		default:
			return nil, nil, d.unknown(e.at, "wsp's file", known)
		}
	}
	if foreign != "" && foreign != "-" {
		return nil, nil, d.fail(d.root, "%s is a key of wsp's other program; this is no file for adit %s", foreign, role)
	}
	return fields, notices, nil
}

// text returns the one value of an entry.
func (d *document) text(e entry) (string, error) {
	values, err := d.scalars(e, false)
	if err != nil {
		return "", err
	}
	return values[0], nil
}

func (d *document) number(e entry, least, most int) (int, error) {
	text, err := d.text(e)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, d.fail(e.value, "%s: %q is out of range; want a number from %d to %d", e.key, engine.Bound(text), least, most)
	}
	return n, nil
}

// milliseconds reads a wait; wsp's 0 is no wait at all, so the least there is.
func (d *document) milliseconds(e entry) (time.Duration, error) {
	n, err := d.number(e, 0, int(24*time.Hour/time.Millisecond))
	return max(time.Duration(n)*time.Millisecond, time.Millisecond), err
}

// applyWSP sets what a file of wsp's server says, where wsp's own defaults
// stand for what it leaves out.
func (s *Server) applyWSP(d *document, top []entry) (notices []string, err error) {
	fields, notices, err := d.wspFields("server", top, wspServerKeys(), wspClientKeys())
	if err != nil {
		return nil, err
	}
	s.WSPFile = true
	s.Timeout, s.IdleTimeout = time.Second, time.Minute
	host, port := "127.0.0.1", 8080
	for _, f := range fields {
		switch f.key {
		case "host":
			host, err = d.text(f)
		case "port":
			port, err = d.number(f, 0, 65535)
		case "timeout":
			s.Timeout, err = d.milliseconds(f)
		case "idletimeout":
			s.IdleTimeout, err = d.milliseconds(f)
		case "secretkey":
			var secret string
			secret, err = d.wspSecret(f)
			if secret != "" {
				s.Secret = []string{secret}
			}
		case "whitelist":
			s.Whitelist, err = d.rules(f, true)
		case "blacklist":
			s.Blacklist, err = d.rules(f, true)
		}
		if err != nil {
			return nil, err
		}
	}
	s.Listen, err = checkListen(net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, d.fail(d.root, "host: %w", err)
	}
	return notices, nil
}

// applyWSP sets what a file of wsp's client says, where wsp's own defaults stand
// for what it leaves out, but for the id, which is the host name and not random.
func (c *Client) applyWSP(d *document, top []entry) (notices []string, err error) {
	fields, notices, err := d.wspFields("client", top, wspClientKeys(), wspServerKeys())
	if err != nil {
		return nil, err
	}
	c.WSPFile = true
	c.Server = []string{"ws://127.0.0.1:8080/register"}
	c.PoolIdle, c.PoolMax = 10, 100
	for _, f := range fields {
		switch f.key {
		case "targets":
			err = c.applyTargets(d, f)
		case "poolidlesize":
			c.PoolIdle, err = d.number(f, 0, mostConnections)
		case "poolmaxsize":
			c.PoolMax, err = d.number(f, 0, mostConnections)
		case "id":
			c.ID, err = d.text(f)
		case "secretkey":
			c.Secret, err = d.wspSecret(f)
		case "whitelist":
			c.Whitelist, err = d.rules(f, false)
		case "blacklist":
			c.Blacklist, err = d.rules(f, false)
		}
		if err != nil {
			return nil, err
		}
	}
	return notices, nil
}

func (c *Client) applyTargets(d *document, f entry) error {
	values, err := d.scalars(f, true)
	if err != nil {
		return err
	}
	c.Server = c.Server[:0]
	for _, v := range values {
		server, err := checkServerURL(v)
		if err != nil {
			return d.fail(f.value, "targets: %w", err)
		}
		c.Server = append(c.Server, server)
	}
	return nil
}

// wspSecret reads a secret as it stands: wsp knows no @FILE. An empty one is
// none.
func (d *document) wspSecret(f entry) (string, error) {
	secret, err := d.text(f)
	if err != nil || secret == "" {
		return "", err
	}
	if err := checkSecret(secret, "it"); err != nil {
		return "", d.fail(f.value, "secretkey: %w", err)
	}
	return secret, nil
}
