package runs

import (
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
)

// Ending is what the engine says of the latest execution of a run's workflow.
type Ending string

// What becomes of a workflow.
const (
	EndingOpen       Ending = "open"  // it goes on
	EndingStuck      Ending = "stuck" // it goes on, but its code panics or does not fit its history, over and over
	EndingCompleted  Ending = "completed"
	EndingFailed     Ending = "failed"
	EndingCancelled  Ending = "cancelled"
	EndingTerminated Ending = "terminated"
	EndingTimedOut   Ending = "timed_out"
	EndingGone       Ending = "gone" // the engine does not know it: it was deleted
)

// Endings lists every ending.
func Endings() []Ending {
	return []Ending{
		EndingOpen, EndingStuck, EndingCompleted, EndingFailed, EndingCancelled, EndingTerminated, EndingTimedOut, EndingGone,
	}
}

// Ended reports whether the workflow does nothing any more.
func (e Ending) Ended() bool { return e != EndingOpen && e != EndingStuck }

// killed reports whether the workflow was closed without being heard: its last record may lack its
// announcement.
func (e Ending) killed() bool { return e == EndingTerminated || e == EndingTimedOut || e == EndingGone }

// lost reports whether the workflow is gone although nobody ended it and it did not end by itself as it should.
func (e Ending) lost() bool { return e == EndingFailed || e == EndingGone }

// Fate is how a workflow ended, and why.
type Fate struct {
	Ending  Ending
	Reason  string    // as whoever ended it gave it; "" for none
	ResetAt time.Time // when the workflow was last reset, by the engine's clock; zero: never
}

// Closed is a workflow that the engine lists as closed. A run may have several: one that was reset left a
// terminated one behind, and goes on.
type Closed struct {
	TenantID uuid.UUID
	RunID    uuid.UUID
	Killed   bool // terminated or timed out
}

// Window is a span of the engine's own time, and a place in the list of what closed within it.
type Window struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Cursor string    `json:"cursor,omitempty"`
}

// outcome is how the run ends whose workflow met its fate without recording an end.
func (f Fate) outcome(r Run) Outcome {
	failed := func(code event.ErrorCode, message string) Outcome {
		if f.Reason != "" {
			message += " Reason: " + f.Reason
		}
		return Outcome{Status: Failed, Code: code, Message: message}
	}
	switch {
	case r.Status == Queued && f.Ending.lost():
		return failed(event.ErrorNotStarted, "The run could not be started: its workflow was lost in Temporal before it began, again and again.")
	case f.Ending != EndingTerminated && f.Ending != EndingCancelled && r.answered():
		return Outcome{Status: Completed} // only its end was not recorded
	}
	switch f.Ending {
	case EndingTerminated:
		return failed(event.ErrorTerminated, "The run was terminated in Temporal.")
	case EndingGone:
		return failed(event.ErrorTerminated, "The run's workflow was deleted from Temporal.")
	case EndingTimedOut:
		return Outcome{Status: TimedOut, Code: event.ErrorTimeout, Message: "The run's workflow reached its time limit in Temporal."}
	case EndingCancelled:
		return Outcome{Status: Cancelled, Message: f.Reason}
	case EndingCompleted:
		return failed(event.ErrorInternal, "The run's workflow ended in Temporal without a record of its end.")
	case EndingFailed, EndingOpen, EndingStuck:
	}
	return failed(event.ErrorInternal, "The run's workflow failed in Temporal without a record of its end.")
}
