// Package audit keeps who did what. The trail is append-only and, per tenant, a chain:
//
//	row 1 ──────────► row 2 ──────────► row 3 ◄── head (position 3, hash of row 3)
//	prev_hash 00…00   prev_hash = hash 1   prev_hash = hash 2
//	hash = SHA-256(all facts of the row, its position, prev_hash)
//
// The database makes the links: a trigger locks the tenant's head, puts the row behind it and moves the
// head, so no writer can fork a chain or leave a hole, whatever it sends. Grants and triggers refuse to
// change or remove a row. Anchors are signed copies of heads outside of the database, for what its owner could do. Verify computes the same hashes in Go and names the first link that is broken;
// docs/audit.md says how an outsider does the same with an export.
//
// Entries of many tenants are committed together (stream.Appender), tenants always in the order of their
// ids: two processes never wait for each other in a circle.
package audit
