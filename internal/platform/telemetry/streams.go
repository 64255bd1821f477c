package telemetry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

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

// WatchStreams exports how many clients have not been sent all that there is, and how many events that is. Both are
// read at each scrape. A second watch is an error.
func (m *Metrics) WatchStreams(behind func() (clients int, events int64)) error {
	if err := m.registry.Register(streamCollector{descs: newStreamDescs(), behind: behind}); err != nil {
		return fmt.Errorf("export how far streams are behind: %w", err)
	}
	return nil
}

type streamDescs struct{ clients, events *prometheus.Desc }

type streamCollector struct {
	descs  streamDescs
	behind func() (clients int, events int64)
}

// Describe is part of prometheus.Collector.
func (c streamCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.descs.clients
	out <- c.descs.events
}

// Collect is part of prometheus.Collector.
func (c streamCollector) Collect(out chan<- prometheus.Metric) {
	clients, events := c.behind()
	out <- prometheus.MustNewConstMetric(c.descs.clients, prometheus.GaugeValue, float64(clients))
	out <- prometheus.MustNewConstMetric(c.descs.events, prometheus.GaugeValue, float64(events))
}
