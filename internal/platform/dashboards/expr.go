package dashboards

import (
	"fmt"
	"strings"
)

// selector adds matchers to the name of a metric.
func selector(metric string, matchers ...string) string {
	if len(matchers) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(matchers, ", ") + "}"
}

func by(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return " by (" + strings.Join(labels, ", ") + ")"
}

// perSecond is the rate of a counter, summed up by labels.
func perSecond(counter string, matchers []string, labels ...string) string {
	return fmt.Sprintf("sum%s (rate(%s[$__rate_interval]))", by(labels), selector(counter, matchers...))
}

// perHour is the same by the hour.
func perHour(counter string, matchers []string, labels ...string) string {
	return "3600 * " + perSecond(counter, matchers, labels...)
}

// inDay is how much a counter rose in the last 24 hours.
func inDay(counter string, matchers []string, labels ...string) string {
	return fmt.Sprintf("sum%s (increase(%s[24h]))", by(labels), selector(counter, matchers...))
}

// quantile is a quantile of a histogram, of all its series together by labels.
func quantile(q, histogram string, matchers []string, labels ...string) string {
	return fmt.Sprintf("histogram_quantile(%s, %s)", q, perSecond(histogram+"_bucket", matchers, append([]string{"le"}, labels...)...))
}

// mean is the mean of what a histogram counted.
func mean(histogram string, matchers []string, labels ...string) string {
	return perSecond(histogram+"_sum", matchers, labels...) + " / " + perSecond(histogram+"_count", matchers, labels...)
}

// share is the part of a counter's rate that has the further matcher. Without labels it is zero where nothing has it;
// by labels there is nothing, for there is no telling which sets of labels there could be.
func share(counter string, matchers []string, part string, labels ...string) string {
	some := perSecond(counter, with(matchers, part), labels...)
	if len(labels) == 0 {
		some = "(" + some + " or vector(0))"
	}
	return some + " / " + perSecond(counter, matchers, labels...)
}

// with adds matchers without writing into the given ones.
func with(matchers []string, more ...string) []string {
	return append(append([]string{}, matchers...), more...)
}

// largest takes one of several processes' words for what is the same in all.
func largest(gauge, matcher string, labels ...string) string {
	return fmt.Sprintf("max%s (%s)", by(labels), selector(gauge, matcher))
}

// top keeps the series with the highest values.
func top(n int, expression string) string { return fmt.Sprintf("topk(%d, %s)", n, expression) }

// ours keeps the series of processes that are Lari's: go_ and process_ are everybody's names.
func ours(expression string) string {
	return expression + " and on (job, instance) lari_http_requests_in_flight"
}

// percentiles are the three queries of a histogram, with the fields of Lari's own answer if it has one.
func percentiles(histogram string, matchers []string, source func(q string) *Source) []Query {
	var out []Query
	for _, p := range []struct{ id, q string }{{"p50", "0.5"}, {"p95", "0.95"}, {"p99", "0.99"}} {
		query := Query{ID: p.id, Legend: p.id, PromQL: quantile(p.q, histogram, matchers)}
		if source != nil {
			query.Source = source(p.id)
		}
		out = append(out, query)
	}
	return out
}

// Words that several dashboards share.
const (
	failedHTTP = `status=~"5.."`
	failedRuns = `status=~"failed|timed_out"`

	requests     = "lari_http_request_duration_seconds"
	routes       = "lari_http_route_duration_seconds"
	runsFinished = "lari_runs_finished_total"
	runDuration  = "lari_run_duration_seconds"
	queueWait    = "lari_run_queue_wait_seconds"
	firstToken   = "lari_run_time_to_first_token_seconds" //nolint:gosec // G101: the token of a model
	cancelling   = "lari_run_cancel_to_stopped_seconds"
	activeRuns   = "lari_runs_active"
	tokensTotal  = "lari_model_tokens_total"
	costTotal    = "lari_model_cost_usd_total"
	quotaUsed    = "lari_quota_used"
	quotaLimit   = "lari_quota_limit"
)

// Thresholds that several panels share.
func errorShares() []Threshold {
	return []Threshold{{Level: Warning, Value: 0.01}, {Level: Critical, Value: 0.05}}
}

func shares(warning, critical float64) []Threshold {
	return []Threshold{{Level: Warning, Value: warning}, {Level: Critical, Value: critical}}
}
