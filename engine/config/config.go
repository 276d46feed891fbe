// Package config makes one configuration from defaults, file, environment and
// flags, in that order. It reads adit.yaml and wsp's own files.
package config

import (
	"time"

	"adit/engine/policy"
)

// Server is the configuration of adit server, with the names of product.md.
type Server struct {
	Listen       string
	Name         string
	Secret       []string // clients; empty: none. @FILE is resolved
	CallerToken  []string
	Domain       string
	TCPPorts     string // "20000-20100"
	OpenClients  bool
	OpenCallers  string // "", "all" or "exposed"
	Timeout      time.Duration
	Ping         time.Duration
	Grace        time.Duration
	CompatStatus bool
	Protocol     string // auto, adit, wsp
	LogLevel     string
	For          time.Duration
	Events       string // all, requests, lifecycle, none
	Headless     bool

	// Of a wsp file.
	WSPFile     bool
	IdleTimeout time.Duration
	Whitelist   []policy.WSPRule
	Blacklist   []policy.WSPRule
}

// Client is the configuration of adit client.
type Client struct {
	Server     []string
	ID         string
	Secret     string
	Pool       int
	PoolIdle   int
	PoolMax    int
	Expose     []string // "[NAME=]URL" or "tcp:PORT=HOST:PORT"
	Allow      []string
	HostHeader string // keep, rewrite
	Ping       time.Duration
	Grace      time.Duration
	Headless   bool
	Once       bool
	Protocol   string
	LogLevel   string
	For        time.Duration
	Events     string

	WSPFile   bool
	Whitelist []policy.WSPRule
	Blacklist []policy.WSPRule
}
