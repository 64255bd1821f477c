// Package quantile computes quantiles of histograms exactly as Prometheus' query language does, so that a
// figure of this process and one that a rule computes from its scraped histograms agree.
//
// It follows the definitions of the functions histogram_quantile and increase in Prometheus'
// documentation (https://prometheus.io/docs/prometheus/latest/querying/functions/); tests/promql compares
// it with Prometheus' engine.
package quantile
