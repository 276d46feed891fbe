package server

import (
	"context"
	"sync"
	"time"

	"adit/engine"
)

// flushTime bounds how long the end waits for callers that have an answer in
// full but for its last bytes, or that connected and sent nothing yet.
const flushTime = time.Second

// Shutdown drains: no new request is taken, what runs may finish within
// Options.Grace or until ctx ends; then it closes. It returns when every
// goroutine has ended and KindStopped is published.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginDrain()
	stop := context.AfterFunc(ctx, s.cutShort)
	defer stop()
	s.end()
	return nil
}

// Close ends everything now and returns when every goroutine has ended.
func (s *Server) Close() error {
	s.cutShort()
	s.end()
	return nil
}

func (s *Server) cutShort() { s.hardOnce.Do(func() { close(s.hardStop) }) }

// beginDrain refuses what is new from now on. Whoever else calls it waits: what
// it publishes must not follow the end of the server.
func (s *Server) beginDrain() { s.drainOnce.Do(s.refuseNew) }

func (s *Server) refuseNew() {
	s.draining.Store(true)
	if !s.leaving.Load() { // else it was said
		s.publish(engine.Event{Kind: engine.KindDraining, Count: s.calls.running()})
	}
	s.dispatch.close()
	s.claims.close()
	s.probes.close(s.farewell())
	for _, l := range s.links.list() {
		if l.registered.Load() {
			s.sendAway(l)
		}
	}
}

// end lets what runs finish, ends the rest and joins it. It runs once; whoever
// else calls it waits.
func (s *Server) end() {
	s.stopOnce.Do(s.stop)
	<-s.done
}

func (s *Server) stop() {
	s.beginDrain()
	grace, cancel := context.WithTimeout(context.Background(), s.o.Grace)
	defer cancel()
	unhook := afterClose(s.hardStop, cancel)
	defer unhook()

	// Graceful: callers' idle connections close, what runs ends.
	var web sync.WaitGroup
	web.Go(func() { s.http.Shutdown(grace) })
	s.calls.wait(grace)
	// A call is over a moment before net/http has sent the last of its answer.
	flushed, cancelFlush := context.WithTimeout(grace, flushTime)
	defer cancelFlush()
	s.http.Shutdown(flushed)
	if s.leaving.Load() {
		s.awaitLinks(flushed)
	}

	// Now: whatever is left fails and returns.
	s.stopping.Store(true)
	cancel()
	s.calls.close()
	s.cancel()
	s.http.Close()
	web.Wait()
	s.accepting.Wait()
	s.http.Close() // what was accepted meanwhile
	var closing sync.WaitGroup
	for _, l := range s.links.list() {
		closing.Go(func() { l.end(s.farewell()) })
	}
	s.calls.wait(context.Background())
	closing.Wait()
	s.life.Lock()
	s.ended = true
	s.life.Unlock()
	s.work.Wait()
	s.webWork.Wait()
	s.watch.close()
	s.expiry.close()
	s.calls.late.Close()
	s.limits.close()

	totals := s.totals.Load()
	s.publish(engine.Event{Kind: engine.KindStopped, Duration: time.Since(s.started), Totals: &totals})
	close(s.done)
	if s.ownBus {
		s.bus.Close()
	}
}

// afterClose runs f when ch is closed; the function that it returns takes that
// back and joins.
func afterClose(ch <-chan struct{}, f func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ch:
			f()
		case <-quit:
		}
	}()
	return func() { close(quit); <-done }
}
