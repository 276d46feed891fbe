package certs

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/crypto/acme"
)

const (
	challengeTLS = "tls-alpn-01"
	challengeWeb = "http-01"
)

// A clientOnce is the ACME client, made with the account when it is needed first:
// a directory that can't be reached must not keep a server from starting.
type clientOnce struct {
	turn   chan struct{} // of one order, who reads and sets what follows; with room for one
	client *acme.Client
	web    *http.Transport
}

// account returns a client with an account.
func (a *issuer) account(ctx context.Context) (*acme.Client, error) {
	c := &a.client
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.client != nil {
		return c.client, nil
	}
	key, err := a.cache.accountKey()
	if err != nil {
		return nil, err
	}
	if c.web == nil {
		c.web = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
			TLSClientConfig:       &tls.Config{RootCAs: a.o.Roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
		}
	}
	client := &acme.Client{Key: key, DirectoryURL: a.o.Server, HTTPClient: &http.Client{Transport: c.web}, UserAgent: "adit"}
	account := &acme.Account{}
	if a.o.Mail != "" {
		account.Contact = []string{"mailto:" + a.o.Mail}
	}
	if _, err := client.Register(ctx, account, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("account: %w", err)
	}
	c.client = client
	return client, nil
}

// close ends the connections to the authority, when no order runs any more.
func (a *issuer) close() {
	if a.client.web != nil {
		a.client.web.CloseIdleConnections()
	}
}

// obtain gets a certificate for a name and keeps it in the cache.
func (a *issuer) obtain(ctx context.Context, name string) (*tls.Certificate, error) {
	client, err := a.account(ctx)
	if err != nil {
		return nil, err
	}
	ready, err := a.authorized(ctx, client, name)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, ready, request, true)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	cert, err := usable(name, key, chain)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if err := a.cache.keep(name, key, chain); err != nil {
		// It serves until the next start.
		a.s.o.Notice(fmt.Sprintf("the certificate of %s can't be kept: %v", name, err))
	}
	return cert, nil
}

// usable checks what an authority or a cache gave.
func usable(name string, key crypto.Signer, chain [][]byte) (*tls.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("none stands there")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, err
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return nil, err
	}
	public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return nil, errors.New("it is for another key")
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// authorized makes orders until one is ready: one for each type of challenge that
// can be answered, the one that worked last first.
func (a *issuer) authorized(ctx context.Context, client *acme.Client, name string) (*acme.Order, error) {
	types := []string{challengeTLS}
	a.mu.Lock()
	if a.web {
		types = append(types, challengeWeb)
		if a.last == challengeWeb {
			types[0], types[1] = types[1], types[0]
		}
	}
	a.mu.Unlock()
	var failed error
	for _, typ := range types {
		ready, err := a.prove(ctx, client, name, typ)
		if err == nil {
			a.mu.Lock()
			a.last = typ
			a.mu.Unlock()
			return ready, nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", typ, brief(err)))
		if ctx.Err() != nil {
			break
		}
		var limited *acme.Error
		if errors.As(err, &limited) && limited.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	return nil, failed
}

// brief returns what an authority found, of all that it said.
func brief(err error) error {
	var refused *acme.AuthorizationError
	if errors.As(err, &refused) && len(refused.Errors) > 0 {
		var problem *acme.Error
		if errors.As(refused.Errors[0], &problem) {
			return errors.New(printable(problem.Detail))
		}
	}
	var problem *acme.Error
	if errors.As(err, &problem) {
		return errors.New(printable(problem.Detail))
	}
	return err
}

// prove makes an order and answers its challenges of one type.
func (a *issuer) prove(ctx context.Context, client *acme.Client, name, typ string) (*acme.Order, error) {
	o, err := client.AuthorizeOrder(ctx, acme.DomainIDs(name))
	if err != nil {
		return nil, fmt.Errorf("order: %w", err)
	}
	for _, url := range o.AuthzURLs {
		z, err := client.GetAuthorization(ctx, url)
		if err != nil {
			return nil, err
		}
		if z.Status != acme.StatusPending {
			continue
		}
		if err := a.answer(ctx, client, name, typ, z); err != nil {
			return nil, err
		}
	}
	uri := o.URI
	if o, err = client.WaitOrder(ctx, uri); err != nil {
		return nil, err
	}
	if o.URI == "" {
		o.URI = uri
	}
	return o, nil
}

func (a *issuer) answer(ctx context.Context, client *acme.Client, name, typ string, z *acme.Authorization) error {
	var challenge *acme.Challenge
	for _, c := range z.Challenges {
		if c.Type == typ {
			challenge = c
		}
	}
	if challenge == nil {
		return errors.New("the authority does not offer this challenge")
	}
	withdraw, err := a.show(client, name, challenge)
	if err != nil {
		return err
	}
	defer withdraw()
	if _, err := client.Accept(ctx, challenge); err != nil {
		return err
	}
	_, err = client.WaitAuthorization(ctx, z.URI)
	return err
}

// show puts the answer to a challenge where the authority looks for it.
func (a *issuer) show(client *acme.Client, name string, c *acme.Challenge) (withdraw func(), err error) {
	if c.Type == challengeWeb {
		answer, err := client.HTTP01ChallengeResponse(c.Token)
		if err != nil {
			return nil, err
		}
		path := client.HTTP01ChallengePath(c.Token)
		a.mu.Lock()
		a.tokens[path] = answer
		a.mu.Unlock()
		return func() { a.mu.Lock(); delete(a.tokens, path); a.mu.Unlock() }, nil
	}
	cert, err := client.TLSALPN01ChallengeCert(c.Token, name)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.alpn[name] = &cert
	a.mu.Unlock()
	return func() { a.mu.Lock(); delete(a.alpn, name); a.mu.Unlock() }, nil
}
