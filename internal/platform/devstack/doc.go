// Package devstack prepares and supervises what a bare machine lacks: a private Postgres with pgvector
// and Temporal's dev server. `lari dev`, the test command and CI share it, so all three run on the same
// parts.
//
//	Start ─┬─ Postgres: DATABASE_URL given ► installed with pgvector ► unpacked from Debian packages
//	       │            ► Docker image ► one sentence with the ways to go on
//	       └─ Temporal: address given ► `temporal` on PATH ► built once into the cache
//
//	cache (per user, shared between checkouts)   state folder (one stack at a time, flock)
//	  postgres-…/   unpacked server, pgvector      devstack.json  ports, password; reused by the next start
//	  temporal-…/   the CLI                        postgres/      the cluster; renamed into place when whole
//	  go-tool-…/    pinned Go tools                temporal.db    the server's SQLite file
//	  prometheus-…/ for the tests of the rules     logs/          one file per child, the last run kept as .1
//
// A cache entry is built in a folder beside its final name, under a file lock, and renamed: it is whole
// or absent. Children sit in process groups of their own, so that a terminal's Ctrl-C reaches only the
// parent, which stops them in order; on Linux the kernel also signals them when the parent is killed with
// -9 (Postgres then shuts down cleanly). Whatever outlives a parent elsewhere is found by the next start
// through its pid and stopped before a new one starts on the same files.
//
// The package needs a Unix: file locks, process groups and credentials have no counterpart elsewhere.
package devstack
