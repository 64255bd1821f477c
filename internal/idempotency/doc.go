// Package idempotency makes a request that creates something safe to send twice (the Idempotency-Key
// header, after draft-ietf-httpapi-idempotency-key-header).
//
//	absent ──reserve──► reserved ──finish──► finished ──sweep (24 h)──► absent
//	   ▲                 │  ▲  │
//	   └── forget (4xx) ─┘  │  └── unlock (5xx), or the lock's 60 s pass ──┐
//	                        └─────────── reserve, same body ───────────────┘
//
// A key is reserved together with the id of the thing that will be made, before the work. Whoever takes
// a reservation over, because its holder died or failed without knowing how far it came, works with the
// same id: the store of the thing then finds the row that the first one made instead of making a second.
package idempotency
