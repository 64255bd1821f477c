package runs

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// executes adds what the engine's view of the run's workflow says.
func (x *explaining) executes(e Execution) {
	switch {
	case e.Ending == EndingStuck:
		x.stuck(e.PendingTask)
	case e.Ending.Ended():
		x.add(Reason{
			Code: WhyWorkflowEnded, Detail: fmt.Sprintf("Its workflow is %s in Temporal.", strings.ReplaceAll(string(e.Ending), "_", " ")), Since: e.ClosedAt,
		})
		return
	case e.PendingTask != nil && e.PendingTask.StartedAt == nil:
		x.notTaken(e.PendingTask.ScheduledAt, func(q QueueHealth) Backlog { return q.Workflows })
	}
	acting := false
	for _, a := range e.PendingActivities {
		x.activity(a, &acting)
	}
}

func (x *explaining) stuck(t *PendingTask) {
	r := Reason{Code: WhyWorkflowStuck, Detail: "The code of its workflow fails over and over.", Since: x.last()}
	if t != nil {
		r.Detail = fmt.Sprintf("The code of its workflow fails over and over: attempt %d.", t.Attempt)
		r.Data = &Facts{Attempt: t.Attempt}
	}
	x.add(r)
}

// notTaken adds why no worker has taken a task yet.
func (x *explaining) notTaken(since *clock.Time, of func(QueueHealth) Backlog) {
	waited := time.Duration(0)
	if since != nil {
		waited = x.at.Sub(*since)
	}
	if x.queue == nil {
		if waited >= takenWithin {
			x.add(Reason{Code: WhyBacklog, Detail: "Its task waits for a worker; how many wait before it is not known.", Since: since})
		}
		return
	}
	backlog := of(*x.queue)
	oldest := seconds(backlog.OldestWait)
	facts := &Facts{Tasks: &backlog.Tasks, OldestWaitSeconds: &oldest, LastSeen: x.queue.LastSeen}
	switch {
	case !x.queue.Polling:
		detail := "No worker asks for tasks."
		if x.queue.LastSeen != nil {
			detail = fmt.Sprintf("No worker asks for tasks; the last one was seen at %s.", x.queue.LastSeen.Format(time.RFC3339))
		}
		x.addOnce(Reason{Code: WhyNoWorker, Detail: detail, Since: since, Data: facts})
	case waited >= takenWithin:
		x.addOnce(Reason{
			Code: WhyBacklog, Detail: fmt.Sprintf("Its task waits for a worker, with about %d others.", max(backlog.Tasks-1, 0)), Since: since, Data: facts,
		})
	}
}

// addOnce is add for what several tasks of a run have in common.
func (x *explaining) addOnce(r Reason) {
	if !x.has(r.Code) {
		x.add(r)
	}
}

// activity adds what a step of the run that has not ended is at.
func (x *explaining) activity(a PendingActivity, acting *bool) {
	if a.Attempt > 1 && (a.LastFailure != "" || a.FailureType != "") {
		x.retrying(a)
	}
	switch {
	case a.StartedAt == nil:
		x.waits(a)
	case a.Work == WorkThink:
		x.thinking(a)
	case a.Work == WorkAct && !*acting:
		*acting = true
		x.acting(a)
	}
}

// waits adds why an activity has not begun: unless it is to wait, no worker has taken it.
func (x *explaining) waits(a PendingActivity) {
	since := a.ScheduledAt
	if a.NextAttemptAt != nil {
		if a.NextAttemptAt.After(x.at) {
			return
		}
		since = a.NextAttemptAt
	}
	x.notTaken(since, func(q QueueHealth) Backlog { return q.Activities })
}

func (x *explaining) retrying(a PendingActivity) {
	facts := &Facts{Attempt: a.Attempt, MaxAttempts: a.MaxAttempts, LastError: x.lastError(a), NextAttemptAt: a.NextAttemptAt}
	what := fmt.Sprintf("Step %d", x.run.Step+1)
	if a.Work == WorkAct {
		facts.Tool, facts.ToolCallID = x.tool()
		facts.Step = x.run.Step
		what = "The tool " + facts.Tool
	} else {
		facts.Step = x.run.Step + 1
	}
	tries := fmt.Sprintf("attempt %d", a.Attempt)
	if a.MaxAttempts > 0 {
		tries += fmt.Sprintf(" of %d", a.MaxAttempts)
	}
	r := Reason{Code: WhyRetrying, Since: x.last(), Data: facts}
	r.Detail = fmt.Sprintf("%s failed and is tried again: %s is under way. The last error: %s", what, tries, facts.LastError)
	if a.StartedAt == nil {
		r.Detail = fmt.Sprintf("%s failed and is tried again: %s comes next. The last error: %s", what, tries, facts.LastError)
		r.Until = a.NextAttemptAt
	}
	x.add(r)
}

// lastError is what an attempt failed with, as the event log would tell it at the end: a provider's own
// message and a refusal are for the tenant to see, a defect of ours is not.
func (x *explaining) lastError(a PendingActivity) string {
	switch code := fault.Code(a.FailureType); {
	case a.FailureType == "timeout":
		return "The worker that did it was not heard of any more."
	case a.FailureType == "interrupted":
		return "The worker that did it went away."
	case strings.HasPrefix(a.FailureType, "model:"):
		return clip(a.LastFailure)
	case code != fault.Internal:
		for _, known := range fault.Codes() {
			if code == known {
				return clip(a.LastFailure)
			}
		}
	}
	return "An unexpected failure."
}

// tool names the call that is under way; of several only the names are known.
func (x *explaining) tool() (name string, id *uuid.UUID) {
	var names []string
	for _, c := range x.calls {
		names = append(names, c.Name)
	}
	if len(x.calls) == 1 {
		id = &x.calls[0].ID
	}
	return strings.Join(names, ", "), id
}

func (x *explaining) thinking(a PendingActivity) {
	quiet := *a.StartedAt
	if x.lastEvent != nil && x.lastEvent.After(quiet) {
		quiet = *x.lastEvent
	}
	detail := "The model is at work on step %d."
	if a.WorkingAt != nil && a.WorkingAt.After(quiet) {
		quiet = *a.WorkingAt
		detail = "The model is thinking about step %d, or writes a tool call."
	}
	facts := Facts{Step: x.run.Step + 1, Attempt: a.Attempt}
	silent := x.at.Sub(quiet)
	if silent < x.slowAfter {
		x.add(Reason{Code: WhyThinking, Detail: fmt.Sprintf(detail, facts.Step), Since: a.StartedAt, Data: &facts})
		return
	}
	facts.SilentSeconds = seconds(silent)
	x.add(Reason{
		Code: WhyProviderSlow, Detail: fmt.Sprintf("The model was asked for step %d and has sent nothing for %.0f s.", facts.Step, silent.Seconds()),
		Since: &quiet, Data: &facts,
	})
}

func (x *explaining) acting(a PendingActivity) {
	for _, c := range x.calls {
		since := c.StartedAt
		if since == nil {
			since = a.StartedAt
		}
		x.add(Reason{
			Code: WhyToolRunning, Detail: fmt.Sprintf("The tool %s is at work.", c.Name), Since: since,
			Data: &Facts{Tool: c.Name, ToolCallID: &c.ID, Step: c.Step},
		})
	}
}
