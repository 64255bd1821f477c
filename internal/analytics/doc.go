// Package analytics answers what a tenant's runs used, how they ended and how long they took, over spans of
// any length, without looking at the runs.
//
//	run_steps ──┐ triggers, in the                     lari.roll_analytics
//	            ├─────────────────► analytics_pending ─────────────────────► analytics_usage
//	agent_runs ─┘ same transaction         │             one statement       analytics_runs
//	     │                                 │                                 analytics_latency
//	     │ runs that have not ended        │ facts not rolled up yet               │ quarters of an hour
//	     └─────────────────────────────────┴───────────► reader ◄─────────────────┘
//
// A fact is written with the record that it speaks of and names it, so that what is recorded twice is counted
// once; it lies in the quarter of an hour of its own time, however late it comes. The roller moves facts into
// rollups in one statement, and a reader's statement looks at both, so that it sees every fact exactly once and
// at once. Quarters are what the hours and days of every zone are made of: Nepal is 5 h 45 min ahead of UTC.
//
// Runs that are removed after their end stay counted, until the span is rebuilt. What a tenant's rollups hold
// goes with the tenant.
package analytics
