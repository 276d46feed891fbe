// Package config makes one configuration from defaults, file, environment and
// flags, in that order. It reads adit.yaml and wsp's own files.
//
// Every setting is defined once, in [ServerSettings] or [ClientSettings]; flag,
// environment variable and key of the file all come from that definition and so
// mean the same. [LoadServerFrom] and [LoadClientFrom] put the sources together and
// check the whole. No error or notice shows a credential.
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
	TCPPorts     string // "20000-20100"; see TCPRange
	OpenClients  bool
	OpenCallers  string // "", "all" or "exposed"
	Timeout      time.Duration
	Ping         time.Duration
	Grace        time.Duration
	CompatStatus bool
	Protocol     string // auto, adit, wsp
	LogLevel     string // debug, info, warn, error
	For          time.Duration
	Events       string // all, requests, lifecycle, none
	Headless     bool
	NoWatch      bool // changed files ask for no reload
	Dashboard    Dashboard
	Control      Control
	Store        Store
	Capture      Capture
	Tokens       string // file of tokens; "" none
	Allow, Deny  []string
	TLS          TLS
	Limits       Limits
	Observing    Observing
	LogFormat    string // json, text

	// Of a wsp file; the lists also of adit.yaml.
	WSPFile     bool
	IdleTimeout time.Duration
	Whitelist   []policy.Rule
	Blacklist   []policy.Rule
}

// Client is the configuration of adit client.
type Client struct {
	Server     []string
	ID         string
	Secret     string
	Pool       int
	PoolIdle   int
	PoolMax    int
	Expose     []string // "[NAME=]URL" or "tcp:PORT=HOST:PORT"; see ParseExpose
	Allow      []string
	Deny       []string
	HostHeader string // keep, rewrite
	Ping       time.Duration
	Grace      time.Duration
	Headless   bool
	NoWatch    bool
	Once       bool
	Protocol   string
	LogLevel   string
	For        time.Duration
	Events     string
	Dashboard  Dashboard
	Control    Control
	Store      Store
	Capture    Capture
	Egress     Egress
	Observing  Observing
	LogFormat  string

	// The lists may stand in adit.yaml too.
	WSPFile   bool
	Whitelist []policy.Rule
	Blacklist []policy.Rule
}
