package telemetry

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/larirun/lari/internal/platform/fault"
)

// slow is a collector that waits to be let go, and counts.
type slow struct {
	desc    *prometheus.Desc
	entered chan struct{}
	leave   chan struct{}
}

func newSlow() *slow {
	return &slow{desc: prometheus.NewDesc("slow", "Slow.", nil, nil), entered: make(chan struct{}, 100), leave: make(chan struct{})}
}

func (s *slow) Describe(out chan<- *prometheus.Desc) { out <- s.desc }

func (s *slow) Collect(out chan<- prometheus.Metric) {
	s.entered <- struct{}{}
	<-s.leave
	out <- prometheus.MustNewConstMetric(s.desc, prometheus.GaugeValue, 1)
}

// Many who ask at once share one gathering; who cannot wait is told so; the next second gathers anew.
func TestScrapesShareAGathering(t *testing.T) {
	t.Parallel()
	m, now, s := New(Options{}), time.Unix(1e9, 0), newSlow()
	m.exposition.now = func() time.Time { return now }
	m.registry.MustRegister(s)
	var all sync.WaitGroup
	for range maxScrapes {
		all.Go(func() {
			if _, _, err := m.Expose(t.Context(), Everyone, ""); err != nil {
				t.Error(err)
			}
		})
	}
	<-s.entered
	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, _, err := m.Expose(short, Everyone, ""); !fault.Is(err, fault.Unavailable) {
		t.Errorf("one that cannot wait is told %v", err)
	}
	close(s.leave)
	all.Wait()
	if _, _, err := m.Expose(t.Context(), "acme", ""); err != nil || len(s.entered) != 0 {
		t.Errorf("gathered %d times more within a second, error %v", len(s.entered), err)
	}
	now = now.Add(2 * freshFor)
	if _, _, err := m.Expose(t.Context(), "acme", ""); err != nil || len(s.entered) != 1 {
		t.Errorf("gathered %d times after a second, error %v", len(s.entered), err)
	}
}
