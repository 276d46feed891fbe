package config

import (
	"fmt"

	"adit/engine/certs"
	"adit/engine/policy"
)

// ClientPolicy returns who may register. It reads the files that the settings
// name, each time anew. Where there is a file of tokens nobody comes in without a
// credential, even if there is no token in it any more.
func (s *Server) ClientPolicy() (*policy.Clients, error) {
	p := &policy.Clients{Secrets: policy.NewSecrets(s.Secret...), Open: s.OpenClients}
	var err error
	if p.Tokens, err = s.readTokens(); err != nil {
		return nil, err
	}
	p.CA, err = authority(s.TLS.ClientCA)
	return p, err
}

// CallerPolicy returns who may use the ways in, as ClientPolicy does.
func (s *Server) CallerPolicy() (*policy.Callers, error) {
	exposed := s.OpenCallers == "exposed"
	p := &policy.Callers{Secrets: policy.NewSecrets(s.CallerToken...), Open: s.OpenCallers == "all",
		OpenExposed: exposed, ClosedChosen: exposed}
	var err error
	if p.Tokens, err = s.readTokens(); err != nil {
		return nil, err
	}
	p.CA, err = authority(s.TLS.CallerCA)
	return p, err
}

// readTokens returns what --tokens names, nil where it names nothing.
func (s *Server) readTokens() (*policy.Tokens, error) {
	if s.Tokens == "" {
		return nil, nil
	}
	list, _, err := ReadTokens(s.Tokens)
	if err != nil {
		return nil, err
	}
	return policy.NewTokens(list)
}

// tokenNotices says what an operator should know of the file of tokens. That it
// can't be read is told by who needs it.
func (s *Server) tokenNotices() []string {
	if s.Tokens == "" {
		return nil
	}
	list, notices, err := ReadTokens(s.Tokens)
	if err != nil {
		return nil
	}
	clients, callers := 0, 0
	for i := range list {
		if list[i].Kind == policy.TokenClient {
			clients++
		} else {
			callers++
		}
	}
	none := func(who, what string) {
		notices = append(notices, fmt.Sprintf("%s has no token for %ss, and there is no other credential for them, so none can %s; adit token new --file %s --for %s --name NAME makes one",
			s.Tokens, who, what, quote(s.Tokens), who))
	}
	if clients == 0 && len(s.Secret) == 0 && s.TLS.ClientCA == "" && !s.OpenClients {
		none("client", "register")
	}
	if callers == 0 && len(s.CallerToken) == 0 && s.TLS.CallerCA == "" && s.OpenCallers == "" {
		none("caller", "come in")
	}
	return notices
}

// authority returns what a PEM file names, nil for none.
func authority(path string) (*policy.Authority, error) {
	if path == "" {
		return nil, nil
	}
	pool, err := certs.Pool(path)
	if err != nil {
		return nil, err
	}
	return policy.NewAuthority(pool), nil
}
