package config

import "adit/engine"

// An environment is os.LookupEnv or alike; nil is none.
type environment = func(string) (string, bool)

// LoadServer is [LoadServerFrom] with less to write, as most tests want it.
func LoadServer(path string, env environment, flags map[string][]string) (*Server, []string, error) {
	s, l, err := LoadServerFrom(Input{path, env, flags})
	return s, l.Notices, err
}

// LoadClient is [LoadClientFrom] with less to write.
func LoadClient(path string, env environment, flags map[string][]string) (*Client, []string, error) {
	c, l, err := LoadClientFrom(Input{path, env, flags})
	return c, l.Notices, err
}

// LoadServerSettings is [LoadServer] that also returns every setting.
func LoadServerSettings(path string, env environment, flags map[string][]string) (*Server, []engine.Setting, []string, error) {
	s, l, err := LoadServerFrom(Input{path, env, flags})
	return s, l.Settings, l.Notices, err
}

// LoadClientSettings is [LoadClient] that also returns every setting.
func LoadClientSettings(path string, env environment, flags map[string][]string) (*Client, []engine.Setting, []string, error) {
	c, l, err := LoadClientFrom(Input{path, env, flags})
	return c, l.Settings, l.Notices, err
}
