package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// A cache is a directory with what an ACME server gave, one file for each name and
// one with the key of the account, mode 0600. Each server has a directory of its
// own: a certificate of a test authority must not outlive the test.
type cache struct{ dir string }

const accountFile = "account.pem"

func openCache(dir, server string) (cache, error) {
	c, err := cacheAt(dir, server)
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return cache{}, fmt.Errorf("ACME cache: %w", err)
	}
	return c, nil
}

// cacheAt is openCache of a directory that may not be there.
func cacheAt(dir, server string) (cache, error) {
	if dir == "" {
		return cache{}, errors.New("ACME needs a directory for its certificates")
	}
	if server == "" {
		server = acme.LetsEncryptURL
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return cache{}, fmt.Errorf("ACME: %q is no URL", printable(server))
	}
	return cache{filepath.Join(dir, strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, strings.ToLower(u.Host+u.Path)))}, nil
}

// maxCached bounds how many certificates are read at a start.
const maxCached = 10_000

// certificates returns what is kept and not over, by name: those of first first. A
// handshake reads no file: a stranger may ask for any name.
func (c cache) certificates(first []string, log *slog.Logger) map[string]*tls.Certificate {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		log.Warn("certificates of the cache", "error", err)
	}
	all := slices.Clone(first)
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".pem"); ok && e.Name() != accountFile {
			all = append(all, name)
		}
	}
	certs := map[string]*tls.Certificate{}
	for _, n := range all[:min(len(all), maxCached)] {
		name, err := hostName(n)
		if err != nil || certs[name] != nil {
			continue
		}
		cert, err := c.certificate(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			log.Warn("certificate in the cache", "error", err)
		case time.Now().Before(cert.Leaf.NotAfter):
			certs[name] = cert
		}
	}
	return certs
}

// certificate returns what is kept for a name.
func (c cache) certificate(name string) (*tls.Certificate, error) {
	text, err := os.ReadFile(c.file(name))
	if err != nil {
		return nil, err
	}
	key, err := decodeKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.file(name), err)
	}
	all, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.file(name), err)
	}
	var chain [][]byte
	for _, one := range all {
		chain = append(chain, one.Raw)
	}
	cert, err := usable(name, key, chain)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.file(name), err)
	}
	return cert, nil
}

func (c cache) keep(name string, key crypto.Signer, chain [][]byte) error {
	text, err := encode(key, chain)
	if err != nil {
		return err
	}
	return c.write(c.file(name), text)
}

// accountKey returns the key of the account, made where there is none.
func (c cache) accountKey() (crypto.Signer, error) {
	path := filepath.Join(c.dir, accountFile)
	text, err := os.ReadFile(path)
	if err == nil {
		key, err := decodeKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; remove it to have another account", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if text, err = encode(key, nil); err != nil {
		return nil, err
	}
	return key, c.write(path, text)
}

// write replaces a file whole or not at all.
func (c cache) write(path string, text []byte) error {
	f, err := os.CreateTemp(c.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// file returns where a name is kept, which hostName has checked.
func (c cache) file(name string) string { return filepath.Join(c.dir, name+".pem") }
