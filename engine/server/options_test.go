package server

import (
	"net/http"
	"net/url"

	"adit/engine/policy"
)

func withCallerToken(token string) func(*Options) {
	return func(o *Options) { o.Callers = &policy.Callers{Secrets: policy.NewSecrets(token)} }
}

func withClientSecret(secret string) func(*Options) {
	return func(o *Options) { o.Clients = &policy.Clients{Secrets: policy.NewSecrets(secret)} }
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func mustRequest(method, url string) *http.Request {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err)
	}
	r.Host = appHost
	return r
}
