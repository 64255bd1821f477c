package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Knowledge measures searches.
type Knowledge struct {
	search *handles[string, prometheus.Observer]
}

// Searched records a search that ended, well or not.
func (k *Knowledge) Searched(err error, took time.Duration) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	k.search.get(outcome).Observe(took.Seconds())
}
