// Package quotas is the domain of what a tenant may use: runs at a time and a day, tokens and money a month,
// requests a minute, schedules. The platform sets limits, the tenant's owner may set narrower ones: what
// holds is the smaller of both.
//
// Who looks at which limit, and when:
//
//	concurrent_runs, held_runs, runs_per_day   lari.admit_run, in the statement that inserts the run
//	tokens_per_month, cost_usd_per_month       the same; and every step of a run, as below
//	requests_per_minute                        the API, before it reads a request: lari.lease_requests
//	schedules                                  the schedules' own domain, by Limit
//
// A step uses an amount that nobody knows before it was used. It reserves the most that it can be, and
// settles when it is recorded:
//
//	           Reserve                           the step's transaction
//	the step ──────────► reserved += at most ──► reserved -= at most; used += what it was
//	              │                         │
//	              │ no room                 └──► the run's end: reserved -= at most
//	              ▼
//	   the run ends, or waits, as the tenant chose
//
// Used and reserved together never exceed a limit, however many steps reserve at once: each adds to one row of
// the month under its lock. A reservation is a row of its own, named by run and step, so that it is made, and
// taken back, once. What a step used is counted with the step's own row, so that it is counted once.
package quotas
