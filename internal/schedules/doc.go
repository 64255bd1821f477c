// Package schedules lets agents run by the clock. Temporal's schedules decide when: they hold the spec, the
// overlap policy, the catch-up window, the pause with its note and the times that are left out. Postgres holds
// what Temporal cannot: whose a schedule is, the template of its runs, and what became of each firing.
//
//	                 Temporal                                        Postgres
//	schedule ── its time has come ──► workflow FireSchedule
//	                                    │ activity: Fire ──────────► run accepted, firing recorded (one transaction)
//	                                    │ child workflow AgentRun
//	                                    ▼ open as long as its run: overlap policies apply to runs
//
// A Plan computes firing times here, so that a spec is checked and previewed before it exists, and so that a timeline
// can say what did not happen. Temporal holds it as Entries, which have it fire at the same times, also when a clock
// is changed; the watcher renews them. Property tests hold the two together.
//
// A row and a schedule in Temporal are written one after the other. Between the two the row is "creating" or
// "deleting": nobody sees it, and when the process dies there the sweeper clears both away.
package schedules
