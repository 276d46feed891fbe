package client

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/origin"
	"adit/engine/policy"
	"adit/engine/wire"
)

// rawLinger bounds the writing of what a stream still holds for its origin when
// the exchange is over.
const rawLinger = 30 * time.Second

// serveConnect opens a TCP stream and carries it.
func (x *exchange) serveConnect(to wire.Connect) error {
	x.force = x.n.c.now.Load()
	class, addr, err := x.connectTarget(to)
	if err != nil {
		return x.fail(err)
	}
	raw, err := x.force.origins.DialTCP(x.in.Context(), class, addr)
	if err != nil {
		return x.fail(err)
	}
	x.connect = time.Since(x.in.Arrived())
	if err := x.in.WriteResponse(&wire.Response{Status: http.StatusOK, Connect: microseconds(x.connect)}, false); err != nil {
		raw.Close()
		return x.fail(err)
	}
	x.upgraded = true
	status := 0
	if to.Route == 0 {
		status = http.StatusOK
	}
	x.answered(status)
	return x.carry(raw)
}

func (x *exchange) connectTarget(to wire.Connect) (origin.Class, string, error) {
	c := x.n.c
	if to.Route == 0 {
		permit, err := x.check(&policy.Query{Method: http.MethodConnect, URL: "tcp://" + to.Target, Host: to.Target})
		return permit, to.Target, err
	}
	if to.Route > uint64(len(c.routes)) || c.routes[to.Route-1].tcp == 0 {
		return nil, "", engine.Fail("route stream", engine.ReasonNoRoute, nil)
	}
	return nil, c.routes[to.Route-1].address, nil
}

// upgrade passes a 101 on and carries what follows.
func (x *exchange) upgrade(resp *origin.Response) error {
	if err := x.writeHead(x.head(resp), false); err != nil {
		resp.Raw.Close()
		return err
	}
	x.upgraded = true
	return x.carry(resp.Raw)
}

// carry copies bytes both ways, with half-close, until both directions have
// ended or either fails. It closes raw: before its own FIN that is RST, so that
// a stream that was cut does not look ended on either side.
func (x *exchange) carry(raw origin.Raw) error {
	defer raw.Close()
	var said atomic.Bool // this end's END is out: the origin said all it had
	linger := time.AfterFunc(time.Hour, func() { raw.Close() })
	linger.Stop()
	defer linger.Stop()
	defer context.AfterFunc(x.in.Context(), func() {
		if said.Load() {
			// Both ENDs may be there while what came before the server's is
			// still being written to the origin.
			linger.Reset(rawLinger)
			return
		}
		raw.Close()
	})()
	up := make(chan error, 1)
	go func() {
		err := errPanicked
		defer func() { up <- err }()
		defer x.n.c.recovered()
		err = x.toOrigin(raw)
	}()
	down := x.fromOrigin(raw, &said)
	if down != nil {
		x.fail(down)
		raw.Close()
		<-up
		return down
	}
	return <-up
}

// toOrigin copies from the tunnel; nil means that the caller ended its side.
func (x *exchange) toOrigin(raw origin.Raw) error {
	for {
		piece, err := x.in.Next()
		if len(piece) > 0 {
			x.sent(piece)
			if _, werr := raw.Write(piece); werr != nil {
				werr = x.why("write to origin", werr)
				x.fail(werr)
				raw.Close()
				return werr
			}
		}
		if err == io.EOF {
			x.tee.EndRequest()
			raw.CloseWrite() // fails where the origin has closed both ways: its reader knows
			return nil
		}
		if err != nil {
			raw.Close()
			return err
		}
	}
}

// fromOrigin copies to the tunnel; nil means that the origin ended its side.
func (x *exchange) fromOrigin(raw origin.Raw, said *atomic.Bool) error {
	buf := x.n.c.buffers.Get().(*[copyBuffer]byte)
	defer x.n.c.buffers.Put(buf)
	for {
		n, err := raw.Read(buf[:])
		if n > 0 {
			if x.firstByte < 0 {
				x.firstByte = time.Since(x.in.Arrived())
			}
			written, werr := x.in.Write(buf[:n])
			x.received(buf[:written])
			if werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			x.tee.EndResponse()
			said.Store(true)
			return x.in.CloseWrite(nil)
		}
		if err != nil {
			return x.why("read from origin", err)
		}
	}
}

// why names the error of the origin's socket: it was this end that closed it if
// the exchange is over.
func (x *exchange) why(op string, err error) error {
	if x.in.Context().Err() != nil {
		return engine.Fail(op, engine.ReasonCallerGone, context.Cause(x.in.Context()))
	}
	return engine.Fail(op, engine.ReasonOriginFailed, err)
}
