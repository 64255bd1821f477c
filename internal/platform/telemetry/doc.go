// Package telemetry is what an operator sees of a process: metrics, logs, and the admin port that serves
// metrics, profiles and probes.
//
// Every metric is declared in metrics.go and nowhere else; the methods that feed them sit beside it, a
// file per family. Nothing is global: New makes a registry of its own, so tests run side by side.
//
// Labels are bounded. A value that a tenant or a client can choose (the tenant itself, a model's or a
// tool's name, a route) passes through labels.go, which hands out a fixed number of series and puts the
// rest into "_other". A run's id is never a label of a counter or a histogram: it is an exemplar there,
// and a label only of the gauge of runs now active, whose series end with the run.
package telemetry
