// Package analytics answers what a tenant's runs used, how they ended and how long they took, over spans of
// any length, without looking at the runs.
//
//	run_steps ──┐ triggers, in the                     lari.roll_analytics
//	            ├─────────────────► analytics_pending ─────────────────────► analytics_usage
//	agent_runs ─┘ same transaction         │             one statement       analytics_runs
//	     │                                 │                                 analytics_latency
//	     │ runs that have not ended        │ facts not rolled up yet               │
//	     └─────────────────────────────────┴───────────► reader ◄─────────────────┘
//
// A fact is written with the record that it speaks of and names it, so that what is recorded twice is counted
// once; it lies in the cell of its own time, however late it comes. The roller moves facts into rollups in one
// statement, and a reader's statement looks at both, so that it sees every fact exactly once and at once.
//
// Rollups have cells of three lengths. Quarters of an hour are what the hours and days of every zone are made of
// (Nepal is 5 h 45 min ahead of UTC); three hours and days of UTC save a reader of a long span most of them. It
// takes the longest cells that lie within one bucket:
//
//	a day of Berlin   21       22          0    3    6    9    12   15   18   21       22
//	                  ·────────┼─ quarters ┼────┼────┼─ three hours ┼────┼────┼ quarters ─┼──·
//
// Runs that are removed after their end stay counted, until the span is rebuilt. What a tenant's rollups hold
// goes with the tenant.
package analytics
