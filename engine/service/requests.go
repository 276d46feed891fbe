package service

import "os"

// Requests are what the service control manager of Windows asks of a service, and
// where it is at home. Elsewhere signals ask, and there are none: nil.
type Requests struct {
	Name   string           // of the service
	State  string           // directory of what it writes
	Stop   <-chan struct{}  // closed when it shall stop
	Reload <-chan os.Signal // its settings are to be loaded again
}

// LookupEnv is os.LookupEnv with what systemd tells a service in its environment,
// and Windows does not. A nil *Requests adds nothing.
func (r *Requests) LookupEnv(name string) (string, bool) {
	if r != nil && (name == "STATE_DIRECTORY" || name == "RUNTIME_DIRECTORY") {
		return r.State, true
	}
	return os.LookupEnv(name)
}
