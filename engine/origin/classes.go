package origin

import (
	"net/http"
	"sync"
)

// maxClasses bounds the classes whose connections net/http keeps: those of rules
// that are not in force any more are not asked for again.
const maxClasses = 64

// A class holds the idle connections of one class of dials that net/http makes,
// apart by protocol.
type class struct {
	http1 *http.Transport // upgrades of https
	tls   *http.Transport // https: HTTP/2 or HTTP/1.1
	h2c   *http.Transport
}

func (c *class) close() {
	c.http1.CloseIdleConnections()
	c.tls.CloseIdleConnections()
	c.h2c.CloseIdleConnections()
}

// classes are made when they are first asked for.
type classes struct {
	mu    sync.RWMutex
	of    map[Class]*class
	order []Class // the oldest first
}

// class returns the connections of a class.
func (t *Transport) class(of Class) *class {
	all := &t.classes
	all.mu.RLock()
	c := all.of[of]
	all.mu.RUnlock()
	if c != nil {
		return c
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if c := all.of[of]; c != nil {
		return c
	}
	c = &class{
		http1: t.newHTTP(t.options, of, func(p *http.Protocols) { p.SetHTTP1(true) }),
		tls:   t.newHTTP(t.options, of, func(p *http.Protocols) { p.SetHTTP1(true); p.SetHTTP2(true) }),
		h2c:   t.newHTTP(t.options, of, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
	}
	if all.of == nil {
		all.of = make(map[Class]*class)
	}
	if len(all.order) == maxClasses {
		// What is in flight there goes on, and its connection ends when it has
		// been idle for long enough.
		oldest := all.order[0]
		all.of[oldest].close()
		delete(all.of, oldest)
		all.order = append(all.order[:0], all.order[1:]...)
	}
	all.of[of] = c
	all.order = append(all.order, of)
	return c
}

func (c *classes) close() {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, one := range c.of {
		one.close()
	}
}
