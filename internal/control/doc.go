// Package control decides whether runs begin, for one tenant and for the whole platform, and shows what
// executes them: workers, task queues, the reconciler, the engine itself.
//
//	           pause                      drain
//	running ──────────► paused     running ──────────► draining ──── no run left ────► drained
//	   ▲ │                │ ▲          (also from paused)  │                              │
//	   │ └────────────────┼─┼──────────────────────────────┘                              │
//	   └───── resume ─────┴─┴──────────────────── resume ─────────────────────────────────┘
//
// None of them touches a run that has begun. A pause refuses new runs, or holds them until it ends, as
// whoever paused chose; draining refuses them. Drained is not stored: it is draining with nothing left to
// finish. The tenant and the platform each have a state, and the stricter one holds (Standing). What is
// decided here is kept by lari.admit_run, in the statement that accepts a run; held runs are package runs'.
//
// What the engine says is read by one caller at a time and remembered for two seconds, so that consoles that
// poll cost little, and a part that cannot be had says so in its place: the view as a whole never fails
// because the engine is away.
package control
