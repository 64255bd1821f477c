package telemetry

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Model counts what language models do and cost.
type Model struct {
	tenants  *labels
	words    *labels
	models   *labels
	tokens   *handles[tokensKey, prometheus.Counter]
	cost     *handles[tokensKey, prometheus.Counter]
	duration *handles[modelKey, prometheus.Observer]
	failures *handles[modelKey, prometheus.Counter]
}

type tokensKey struct{ tenant, provider, model, direction string }

type modelKey struct{ provider, model, class string }

// Spent counts the tokens of a turn and their price in US dollars, also of a turn that failed.
func (m *Model) Spent(tenant, provider, model string, inputTokens, outputTokens int64, usd float64) {
	key := tokensKey{tenant: m.tenants.label(tenant), provider: m.words.label(provider), model: m.models.label(model)}
	if usd > 0 && !math.IsInf(usd, 0) { // a counter panics over a negative number and is lost to NaN
		m.cost.get(key).Add(usd)
	}
	if inputTokens > 0 {
		key.direction = "input"
		m.tokens.get(key).Add(float64(inputTokens))
	}
	if outputTokens > 0 {
		key.direction = "output"
		m.tokens.get(key).Add(float64(outputTokens))
	}
}

// Answered records a turn that ended well. The run id becomes an exemplar, with the id of its trace if it is kept.
func (m *Model) Answered(provider, model, runID string, took time.Duration, traceID ...string) {
	observe(m.duration.get(modelKey{provider: m.words.label(provider), model: m.models.label(model)}), took, about(runID, traceID))
}

// Failed counts a turn that failed, by the class of its failure (llm.Class).
func (m *Model) Failed(provider, model, class string) {
	m.failures.get(modelKey{
		provider: m.words.label(provider), model: m.models.label(model), class: m.words.label(class),
	}).Inc()
}
