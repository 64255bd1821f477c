// Package rules holds deploy/prometheus to a real Prometheus: promtool checks and tests the rules, and a server
// reads two processes under load and is compared with what they say of themselves.
package rules
