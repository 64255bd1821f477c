package telemetry

import (
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// Exemplar says of what an observation is, so that a slow bucket leads to a run and a trace that fell into it.
// Either may be missing; without both there is none.
type Exemplar struct {
	RunID   string
	TraceID string // of a trace that is kept
}

// maxExemplarID bounds what is taken for an id. client_golang panics over exemplars that are longer in all than
// OpenMetrics 1.0 has them: 128 characters.
const maxExemplarID = 64

// labels gives nil for nothing to tell.
func (e Exemplar) labels() prometheus.Labels {
	run := e.RunID != "" && len(e.RunID) <= maxExemplarID && utf8.ValidString(e.RunID)
	trace := len(e.TraceID) == 32 && utf8.ValidString(e.TraceID) // as long as ids of W3C Trace Context are
	switch {
	case run && trace:
		return prometheus.Labels{"run_id": e.RunID, "trace_id": e.TraceID}
	case run:
		return prometheus.Labels{"run_id": e.RunID}
	case trace:
		return prometheus.Labels{"trace_id": e.TraceID}
	}
	return nil
}

// observe leaves the exemplar, if there is one.
func observe(o prometheus.Observer, d time.Duration, e Exemplar) {
	labels := e.labels()
	if x, ok := o.(prometheus.ExemplarObserver); ok && labels != nil {
		x.ObserveWithExemplar(d.Seconds(), labels)
		return
	}
	o.Observe(d.Seconds())
}

// about is what is told of a run, with the id of its trace if that is kept.
func about(runID string, traceID []string) Exemplar {
	e := Exemplar{RunID: runID}
	if len(traceID) == 1 {
		e.TraceID = traceID[0]
	}
	return e
}

// only gives the one of a list, or an empty one.
func only(all []Exemplar) (e Exemplar) {
	if len(all) == 1 {
		e = all[0]
	}
	return e
}
