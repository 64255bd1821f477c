// Package runs is the domain of runs: one execution of an agent, from the wish of a caller to the final
// event of its log.
//
//	           Start        Wait
//	queued ───────────► running ◄──────► waiting
//	   │                   │    Resume      │
//	   │ closed early      ▼                │
//	   └──────► completed · failed · cancelled · timed_out   (final: nothing changes any more)
//
// A Run changes only through its methods; each change that the world should know of gives the events
// that tell it, and Service writes both in one transaction under the run's lock. What the workflow calls
// (Started, Finished, BeginStep, RecordStep, BeginCall, EndCall, …) may come twice and counts once. What
// a caller asks for is written here before the engine hears of it; the dispatcher repeats what the
// engine did not hear.
package runs
