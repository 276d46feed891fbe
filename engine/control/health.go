package control

import (
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"
)

const (
	// maxProfile bounds a profile over time, in seconds; without a word it is
	// defaultProfile.
	maxProfile     = 300
	defaultProfile = 30

	profileWait = 30 * time.Second // for a profile to be written, once it is taken
)

// watching are the calls for systems that watch a process. Whether it lives and is
// ready anybody may know: who asks that has no token, and gets a word.
func watching() []call {
	return []call{
		{pattern: "GET /healthz", open: true, answer: (*Server).healthz},
		{pattern: "GET /readyz", open: true, answer: (*Server).readyz},
		{pattern: "GET /metrics", answer: (*Server).metrics},
		{pattern: "GET /debug/pprof/", full: true, answer: profiled(pprof.Index)},
		{pattern: "GET /debug/pprof/profile", full: true, answer: profiled(pprof.Profile)},
		{pattern: "GET /debug/pprof/trace", full: true, answer: profiled(pprof.Trace)},
		{pattern: "GET /debug/pprof/symbol", full: true, answer: profiled(pprof.Symbol)},
	}
}

// Health returns what answers GET /healthz: this process lives.
func Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { word(w, http.StatusOK, "ok") })
}

// Readiness returns what answers GET /readyz: with 200, or with 503 and why ready
// says no. A nil ready never does.
func Readiness(ready func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if ready != nil {
			if err := ready(); err != nil {
				word(w, http.StatusServiceUnavailable, err.Error())
				return
			}
		}
		word(w, http.StatusOK, "ready")
	})
}

// NotRebound guards what anybody may ask for, who has to be on this machine: a page
// in a browser here whose name was made to resolve to a loopback address (DNS
// rebinding) is refused with 421. Over loopback addresses next is asked by an address,
// as localhost, or by name; over others by any name.
func NotRebound(next http.Handler, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		if to != nil && to.IP.IsLoopback() && r.Host != "" && !ownHost(r.Host, name) {
			word(w, http.StatusMisdirectedRequest, "the Host field has a name that this listener is not known by: ask it by its address, or as localhost")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func word(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func (s *Server) healthz(x *exchange) error {
	Health().ServeHTTP(x.w, x.r)
	return nil
}

func (s *Server) readyz(x *exchange) error {
	Readiness(s.o.Ready).ServeHTTP(x.w, x.r)
	return nil
}

func (s *Server) metrics(x *exchange) error {
	if s.o.Metrics == nil {
		return fail(http.StatusNotFound, "there are no metrics here")
	}
	s.o.Metrics.ServeHTTP(x.w, x.r)
	return nil
}

// profiled gives a profile the time that it takes. The arguments of the process
// are none of them: a credential may stand there.
func profiled(h http.HandlerFunc) func(*Server, *exchange) error {
	return func(_ *Server, x *exchange) error {
		seconds := defaultProfile
		if text := x.query("seconds"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > maxProfile {
				return fail(http.StatusBadRequest, "seconds: want a number from 1 to %d", maxProfile)
			}
			seconds = n
		}
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(time.Duration(seconds)*time.Second + profileWait))
		h(x.w, x.r)
		return nil
	}
}
