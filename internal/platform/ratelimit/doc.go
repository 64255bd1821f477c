// Package ratelimit admits requests of tenants, so many a minute, across any number of processes, without
// asking the database for each.
//
//	process A                     process B                     Postgres
//	┌──────────────────────┐      ┌──────────────────────┐      ┌─────────────────────────┐
//	│ tenant 1: 3 leased   │      │ tenant 1: 1 leased   │      │ one bucket a tenant      │
//	│ tenant 2: no limit   │      │ tenant 1: refused    │      │ (burst, one request      │
//	│           for 3 s    │      │           until …    │      │  every so many seconds)  │
//	└──────────┬───────────┘      └──────────┬───────────┘      └───────────▲─────────────┘
//	           └───── Lease: "n requests, please" ── granted, rest, pace ───┘
//
// The bucket is the only one who counts. A process takes requests out of it in batches, a quarter of a
// second's share and at least one, and hands them to its callers; what it has not used within Life is lost,
// so that no process sits on what another one could use. The bucket's pace leaves room for that second: in
// no minute, wherever it begins, are more requests admitted than the limit says, however many processes
// there are. What one leaves unused costs the tenant a few of the hundred, never gives it one more.
//
// A refusal is remembered until the next request is due, a tenant without a limit for some seconds: neither
// a flood nor ordinary traffic reaches the database. A changed limit holds within Memory and Grace.
//
// No clocks are compared. A lease counts from before it was asked for, on the process's own monotonic clock:
// its second is over here no later than in the database.
package ratelimit
