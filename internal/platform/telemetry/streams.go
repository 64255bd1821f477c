package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Streams counts clients that follow runs. transport is "sse" or "websocket".
type Streams struct {
	transports *labels
	open       *handles[string, prometheus.Gauge]
	delivered  *handles[string, prometheus.Counter]
	replayed   *handles[string, prometheus.Counter]
}

// Opened counts a client that came.
func (s *Streams) Opened(transport string) { s.open.get(s.transports.label(transport)).Inc() }

// Closed counts a client that Opened announced and that left.
func (s *Streams) Closed(transport string) { s.open.get(s.transports.label(transport)).Dec() }

// Delivered counts events written to a client.
func (s *Streams) Delivered(transport string, events int) {
	s.delivered.get(s.transports.label(transport)).Add(float64(max(events, 0)))
}

// Replayed counts events read from the log for a client.
func (s *Streams) Replayed(transport string, events int) {
	s.replayed.get(s.transports.label(transport)).Add(float64(max(events, 0)))
}
