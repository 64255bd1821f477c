// Package quantile computes quantiles of histograms exactly as Prometheus' query language does, so that a
// figure of this process and one that a rule computes from its scraped histograms agree.
//
// It follows the definitions of the functions histogram_quantile and increase in Prometheus'
// documentation (https://prometheus.io/docs/prometheus/latest/querying/functions/); tests/promql compares
// it with Prometheus' engine, of version 0.313.2. In three corners, none of which a program's own histograms reach, it follows
// the definition where that engine errs: native histograms that observed what is no number, sums of such that differ in
// resolution while a bucket of zero ends within a bucket, and resets that only empty buckets before others show.
package quantile
