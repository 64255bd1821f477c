package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Knowledge measures searches.
type Knowledge struct {
	search *handles[string, prometheus.Observer]
}

// Searched records a search that ended, well or not, and of which run and trace it was.
func (k *Knowledge) Searched(err error, took time.Duration, e ...Exemplar) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	observe(k.search.get(outcome), took, only(e))
}
