package telemetry

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PoolStat is what is exported of a pool: of *pgxpool.Stat.
type PoolStat interface {
	AcquiredConns() int32
	IdleConns() int32
	ConstructingConns() int32
	MaxConns() int32
	AcquireCount() int64
	EmptyAcquireCount() int64
	CanceledAcquireCount() int64
	EmptyAcquireWaitTime() time.Duration
	NewConnsCount() int64
	MaxLifetimeDestroyCount() int64
	MaxIdleDestroyCount() int64
}

// WatchPool exports the figures of a pool of database connections under a name. They are read at each
// scrape. A second pool of the same name is an error.
func (m *Metrics) WatchPool(name string, stat func() PoolStat) error {
	if err := m.registry.Register(poolCollector{metrics: poolDescs(name), stat: stat}); err != nil {
		return fmt.Errorf("export the pool %s: %w", name, err)
	}
	return nil
}

type poolMetrics struct {
	connections, limit, acquires, waited, cancelled, waitSeconds, opened, retired *prometheus.Desc
}

type poolCollector struct {
	metrics poolMetrics
	stat    func() PoolStat
}

// Describe is part of prometheus.Collector.
func (c poolCollector) Describe(out chan<- *prometheus.Desc) {
	m := c.metrics
	for _, desc := range []*prometheus.Desc{m.connections, m.limit, m.acquires, m.waited, m.cancelled, m.waitSeconds, m.opened, m.retired} {
		out <- desc
	}
}

// Collect is part of prometheus.Collector.
func (c poolCollector) Collect(out chan<- prometheus.Metric) {
	s, m := c.stat(), c.metrics
	gauge := func(desc *prometheus.Desc, value int32, label ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), label...)
	}
	counter := func(desc *prometheus.Desc, value float64, label ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, label...)
	}
	gauge(m.connections, s.AcquiredConns(), "acquired")
	gauge(m.connections, s.IdleConns(), "idle")
	gauge(m.connections, s.ConstructingConns(), "constructing")
	gauge(m.limit, s.MaxConns())
	counter(m.acquires, float64(s.AcquireCount()))
	counter(m.waited, float64(s.EmptyAcquireCount()))
	counter(m.cancelled, float64(s.CanceledAcquireCount()))
	counter(m.waitSeconds, s.EmptyAcquireWaitTime().Seconds())
	counter(m.opened, float64(s.NewConnsCount()))
	counter(m.retired, float64(s.MaxLifetimeDestroyCount()), "age")
	counter(m.retired, float64(s.MaxIdleDestroyCount()), "idle")
}
