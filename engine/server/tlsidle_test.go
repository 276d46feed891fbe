package server

import (
	"crypto/tls"
	"testing"

	"adit/engine"
	"adit/engine/tunnel"
)

// BenchmarkIdleConnectionOverTLS reports what an idle connection over TLS holds,
// both ends together, as BenchmarkIdleConnection does for one in clear.
func BenchmarkIdleConnectionOverTLS(b *testing.B) {
	const n = 200
	s := secure(b, nil)
	alone := settled(0)
	trust := &tls.Config{RootCAs: s.authority.Pool, MinVersion: tls.VersionTLS13}
	for b.Loop() {
		b.StopTimer()
		before := held()
		b.StartTimer()
		var sessions []tunnel.Session
		for i := range n {
			session, err := s.tryDial(greeting("idle-"+string(rune('a'+i%26))+string(rune('a'+i/26))), func(tunnel.Incoming) {},
				func(o *tunnel.DialOptions) { o.URL, o.TLS = "wss://"+s.addr+"/register", trust })
			if err != nil {
				b.Fatal(err)
			}
			sessions = append(sessions, session)
		}
		b.StopTimer()
		settled(alone + 2*n)
		b.ReportMetric(float64(held()-before)/n, "B/connection")
		for _, session := range sessions {
			session.Close(engine.CloseNormal, "")
		}
		settled(alone)
		b.StartTimer()
	}
}
