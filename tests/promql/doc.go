// Package promql asks Prometheus' own engine what the process computes itself.
package promql
