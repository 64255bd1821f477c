// Package connectortest is the conformance suite of the connectors port: every RuntimeConnector passes
// it, whether it works in this process, in a database or over a network.
//
// A test describes its connector as a Subject, which makes the connector in worlds that work, that do not
// answer and that fail, and Run looks at it from all sides:
//
//	name          it fits, and never changes
//	declaration   Mode and Wants give the same answer each time, at once
//	hooks         each wanted event is taken and leaves what it should
//	order         events are taken in whatever order they come, and passed on in that order
//	repeat        the same event twice is taken twice and leaves nothing new
//	untouched     the event belongs to every connector: none changes it
//	pace          an inline connector answers within connectors.InlineLimit
//	cancellation  a call ends soon after its context was cancelled
//	time-out      a call ends soon after its deadline, and does not claim to have succeeded
//	slow remote   another side that never comes to an end does not hold the call beyond its deadline
//	failure       an event that cannot be passed on is an error, never lost in silence
//	secrets       no error holds a secret, in any form
//	panics        odd events do not make it panic
//	garbage       odd events are answered in time, and a good one is taken afterwards
//	concurrency   many goroutines at once lose nothing; run it under -race
//
// What the registry does for every connector (the limit of a second, the containment of panics, the
// fall-back to a delivery) is tested with the registry, not here.
package connectortest
