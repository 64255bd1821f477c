// Package stream holds the two mechanisms around an append-only log in Postgres: Appender, which
// commits what many writers add in few transactions, and Hub, which lets many readers follow a log.
//
// The log is the truth; the hub only says that it grew. A reader pulls:
//
//	             publish (same process, after commit)
//	writer ──────────────────────────────────────────────┐
//	   │ commit + NOTIFY                                 ▼
//	   ▼                                   ┌────────── topic ──────────┐
//	  log ──── LISTEN (other processes) ──►│ head, short tail of events│
//	   ▲                                   └──────┬────────────┬───────┘
//	   │        tail does not reach back          │ wake       │ wake
//	   └───────────────────────────────────── reader A     reader B
//
// Each reader holds its own position. It takes what follows from the topic's tail when the tail
// reaches back that far, and reads the log otherwise: so replay and live are one loop without a seam,
// a slow reader falls back to the log by itself, and no reader can delay a writer or another reader.
// Positions are given out under a lock held until the commit, hence a visible position means that all
// before it are visible.
package stream
