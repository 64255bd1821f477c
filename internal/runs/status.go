package runs

import "slices"

// Status of a run. The last four are final: a final run never changes again.
type Status string

// The states of a run.
const (
	Queued    Status = "queued"    // accepted; the workflow has not begun
	Running   Status = "running"   // thinking or acting
	Waiting   Status = "waiting"   // an approval is due
	Completed Status = "completed" // ended with an answer
	Failed    Status = "failed"    // ended with an error
	Cancelled Status = "cancelled" // stopped by somebody
	TimedOut  Status = "timed_out" // ended by its own time limit
)

// Statuses lists every state.
func Statuses() []Status {
	return []Status{Queued, Running, Waiting, Completed, Failed, Cancelled, TimedOut}
}

// Final reports whether a run in this state has ended.
func (s Status) Final() bool { return len(next[s]) == 0 }

// next is the whole state machine. A queued run may end without having run: its workflow could not be
// started, was closed in the engine, or the run was cancelled while no worker was there.
var next = map[Status][]Status{
	Queued:    {Running, Failed, Cancelled, TimedOut},
	Running:   {Waiting, Completed, Failed, Cancelled, TimedOut},
	Waiting:   {Running, Failed, Cancelled, TimedOut},
	Completed: nil,
	Failed:    nil,
	Cancelled: nil,
	TimedOut:  nil,
}

// CanBecome reports whether the state machine has the transition.
func (s Status) CanBecome(to Status) bool { return slices.Contains(next[s], to) }
