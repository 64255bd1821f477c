package runs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/runs"
)

// witness is what the engine, its queue and control say of a run.
type witness struct {
	runs.Engine
	execution runs.Execution
	err       error
	hook      func() // while the engine is asked
	queue     runs.QueueHealth
	queueErr  error
	pause     *runs.Pause
}

func (w *witness) FindExecution(context.Context, uuid.UUID, uuid.UUID) (runs.Execution, error) {
	if w.hook != nil {
		w.hook()
	}
	return w.execution, w.err
}

func (w *witness) FindRunQueue(context.Context) (runs.QueueHealth, error) { return w.queue, w.queueErr }

func (w *witness) FindPause(context.Context) (runs.Pause, bool, error) {
	if w.pause == nil {
		return runs.Pause{}, false, nil
	}
	return *w.pause, true, nil
}

// interrogation is a run of a tenant and who is asked about it.
type interrogation struct {
	*rig
	*witness
	ctx    context.Context //nolint:containedctx // the test's
	tenant uuid.UUID
	run    uuid.UUID
}

func interrogate(t *testing.T) *interrogation {
	t.Helper()
	i := &interrogation{rig: newRig(t), witness: &witness{execution: runs.Execution{Ending: runs.EndingOpen}, queue: runs.QueueHealth{Polling: true}}}
	i.ctx, i.tenant = i.db.Tenant(t, "a")
	i.run = emptyRuns(t, i.db, i.tenant, 1)[0]
	i.rig.Engine, i.Explains = i.witness, runs.Explaining{Queues: i.witness, Pauses: i.witness}
	return i
}

func (i *interrogation) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := i.db.Conn(t).Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// hold makes the run a held one.
func (i *interrogation) hold(t *testing.T, by runs.Hold) {
	t.Helper()
	i.exec(t, `update agent_runs set status = 'queued', started_at = null, held_by = $2, held_at = now() - interval '1 minute' where id = $1`, i.run, by)
}

func (i *interrogation) explain(t *testing.T) runs.Explanation {
	t.Helper()
	x, err := i.Explain(i.ctx, i.run)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// want demands the reasons, whether the run moves, and that everything is said that has to be.
func (i *interrogation) want(t *testing.T, moving bool, codes ...runs.ReasonCode) []runs.Reason {
	t.Helper()
	x := i.explain(t)
	var got []runs.ReasonCode
	for _, r := range x.Reasons {
		got = append(got, r.Code)
		if r.Detail == "" || len(r.Detail) > 800 {
			t.Errorf("the detail of %s is %q", r.Code, r.Detail)
		}
	}
	if !slices.Equal(got, codes) || x.Moving != moving || x.Next == "" || x.Since.IsZero() || x.RunID != i.run {
		t.Fatalf("explained with %+v, want %v, moving %t", x, codes, moving)
	}
	return x.Reasons
}

func ago(d time.Duration) *clock.Time { at := clock.At(time.Now().Add(-d)); return &at }

func TestHeldRunsAreExplained(t *testing.T) {
	t.Parallel()
	t.Run("delay", func(t *testing.T) {
		t.Parallel()
		i := interrogate(t)
		i.hold(t, runs.HoldDelay)
		i.exec(t, `update agent_runs set due_at = now() + interval '1 hour' where id = $1`, i.run)
		if r := i.want(t, false, runs.WhyHeldDelay)[0]; r.Until == nil || time.Until(r.Until.Time) < 50*time.Minute {
			t.Errorf("%+v", r)
		}
		i.pause = &runs.Pause{Scope: "tenant", State: "paused"} // which will hold it when its time has come
		i.want(t, false, runs.WhyHeldDelay, runs.WhyHeldPause)
	})
	t.Run("thread", func(t *testing.T) {
		t.Parallel()
		i := interrogate(t)
		others := emptyRunsOf(t, i, 3)
		thread := uuid.Must(uuid.NewV7())
		i.exec(t, `insert into threads (id, tenant_id, title, created_at, updated_at) values ($1, $2, '', now(), now())`, thread, i.tenant)
		i.hold(t, runs.HoldThread)
		i.exec(t, `update agent_runs set status = 'queued', started_at = null, held_by = 'thread', held_at = now(), thread_id = $2 where id = $1`, others[0], thread)
		i.exec(t, `update agent_runs set thread_id = $2 where id in ($1, $3)`, i.run, thread, others[1])
		i.exec(t, `update agent_runs set status = 'queued', started_at = null, held_by = 'delay', held_at = now(), thread_id = $2 where id = $1`, others[2], thread)
		r := i.want(t, false, runs.WhyHeldThread)[0]
		if r.Data == nil || *r.Data.RunID != others[1] || r.Data.Position != 2 || r.Since == nil {
			t.Errorf("%+v, %+v", r, r.Data)
		}
		i.exec(t, `update agent_runs set status = 'completed', finished_at = now() where id = $1`, others[1])
		if r = i.want(t, false, runs.WhyHeldThread)[0]; *r.Data.RunID != others[0] || r.Data.Position != 2 {
			t.Errorf("%+v, %+v", r, r.Data)
		}
		i.exec(t, `update agent_runs set status = 'cancelled', finished_at = now() where id = $1`, others[0])
		if r = i.want(t, false, runs.WhyHeldThread)[0]; r.Data.RunID != nil || r.Data.Position != 1 {
			t.Errorf("%+v, %+v", r, r.Data)
		}
	})
	t.Run("pause", func(t *testing.T) {
		t.Parallel()
		i := interrogate(t)
		i.hold(t, runs.HoldPause)
		i.want(t, false, runs.WhyHeldPause) // it is over, and the run is not let go yet
		i.pause = &runs.Pause{Scope: "platform", State: "paused", Reason: "an upgrade", By: "platform", Since: ago(time.Hour)}
		r := i.want(t, false, runs.WhyHeldPause)[0]
		if r.Data == nil || r.Data.Scope != "platform" || r.Data.By != "platform" || r.Data.Reason != "an upgrade" || time.Since(r.Since.Time) < 50*time.Minute || !strings.Contains(r.Detail, "an upgrade") {
			t.Errorf("%+v, %+v", r, r.Data)
		}
	})
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		i := interrogate(t)
		i.hold(t, runs.HoldQuota)
		i.want(t, false, runs.WhyHeldQuota) // none is set: it is free again
		i.exec(t, `insert into tenant_quotas (tenant_id, source, concurrent_runs, tokens_per_month, cost_usd_per_month, updated_by, updated_at)
			values ($1, 'tenant', 1, 1000, 2.5, 'test', now())`, i.tenant)
		i.exec(t, `insert into quota_usage (tenant_id, period, starts_on, tokens, reserved_tokens, cost_usd)
			values ($1, 'month', date_trunc('month', now() at time zone 'UTC')::date, 900, 200, 2.5)`, i.tenant)
		emptyRunsOf(t, i, 1)
		reasons := i.want(t, false, runs.WhyHeldQuota, runs.WhyHeldQuota, runs.WhyHeldQuota)
		for n, want := range []string{"concurrent_runs 1 1", "tokens_per_month 1000 1100", "cost_usd_per_month 2.5 2.5"} {
			d := reasons[n].Data
			if got := fmt.Sprintf("%s %s %s", d.Quota, d.Limit, d.Used); got != want {
				t.Errorf("reason %d: %s, want %s", n, got, want)
			}
		}
		if reasons[0].Until != nil || reasons[1].Until == nil || !reasons[1].Until.After(clock.Now()) {
			t.Errorf("they free at %v and %v", reasons[0].Until, reasons[1].Until)
		}
	})
}

// emptyRunsOf gives more runs of the tenant, each later than those before.
func emptyRunsOf(t *testing.T, i *interrogation, n int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for j := range ids {
		ids[j] = uuid.Must(uuid.NewV7())
		if j == 0 { // one that is older than the run that is asked about
			ids[j] = uuid.MustParse("01900000-0000-7000-8000-000000000001")
		}
	}
	i.exec(t, `insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds, created_by, created_at, started_at)
		select id, $2, (select agent_id from agent_runs where id = $3), 1, 'running', '[]', 10, 600, 600, 'test', now(), now() from unnest($1::uuid[]) as id`, ids, i.tenant, i.run)
	return ids
}

func TestWaitingRunsAreExplained(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	call := toolCall(i.run, 1)
	if _, err := i.RecordStep(i.ctx, answer(i.run, 1, call)); err != nil {
		t.Fatal(err)
	}
	asked, err := i.AskApproval(i.ctx, i.run, call.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := i.want(t, false, runs.WhyWaitingApproval)[0]
	if *r.Data.ApprovalID != asked.ID || *r.Data.ToolCallID != call.ID || r.Data.Tool != "calculator" || r.Data.Step != 1 || time.Until(r.Until.Time) < 50*time.Minute || r.Since == nil {
		t.Errorf("%+v, %+v", r, r.Data)
	}
	i.err = fault.New(fault.Unavailable, "away")
	i.want(t, false, runs.WhyWaitingApproval, runs.WhyEngineAway) // what is known without it is said
	i.err = nil
	i.exec(t, `update agent_runs set cancel_requested_at = now(), cancel_requested_by = 'ada', cancel_reason = 'enough' where id = $1`, i.run)
	if r := i.want(t, true, runs.WhyCancelling, runs.WhyWaitingApproval)[0]; r.Data.By != "ada" || r.Data.Reason != "enough" {
		t.Errorf("%+v, %+v", r, r.Data)
	}
}

func TestARunThatWaitsForAQuotaIsExplained(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	i.exec(t, `update agent_runs set status = 'waiting' where id = $1`, i.run)
	i.exec(t, `insert into run_events (tenant_id, run_id, seq, type, at, data) values ($1, $2, 1, 'run_progress', now(), '{"phase": "wait", "step": 1, "detail": "begin", "name": "quota"}')`, i.tenant, i.run)
	i.want(t, false, runs.WhyWaitingQuota)
	i.exec(t, `insert into tenant_quotas (tenant_id, source, tokens_per_month, updated_by, updated_at) values ($1, 'tenant', 0, 'test', now())`, i.tenant)
	if r := i.want(t, false, runs.WhyWaitingQuota)[0]; r.Data == nil || r.Data.Quota != "tokens_per_month" || r.Until == nil {
		t.Errorf("%+v", r)
	}
}

// What the engine says of a run, and the reasons that follow.
func TestWhatTheEngineSaysIsExplained(t *testing.T) {
	t.Parallel()
	thinks := func(a runs.PendingActivity) runs.Execution {
		a.Work = runs.WorkThink
		return runs.Execution{Ending: runs.EndingOpen, PendingActivities: []runs.PendingActivity{a}}
	}
	task := func(end runs.Ending, p runs.PendingTask) runs.Execution {
		return runs.Execution{Ending: end, PendingTask: &p}
	}
	present, absent := runs.QueueHealth{Polling: true, Workflows: runs.Backlog{Tasks: 7, OldestWait: time.Minute}}, runs.QueueHealth{LastSeen: ago(2 * time.Minute)}
	soon := clock.Now().Add(time.Hour) // as if it were now, however long the test takes
	for name, c := range map[string]struct {
		execution runs.Execution
		queue     *runs.QueueHealth
		err       error
		moving    bool
		want      []runs.ReasonCode
	}{
		"nothing is pending":          {runs.Execution{Ending: runs.EndingOpen}, &present, nil, true, []runs.ReasonCode{runs.WhyThinking}},
		"a task is taken":             {task(runs.EndingOpen, runs.PendingTask{Attempt: 1, ScheduledAt: ago(time.Hour), StartedAt: ago(time.Second)}), &absent, nil, true, []runs.ReasonCode{runs.WhyThinking}},
		"a task just came":            {task(runs.EndingOpen, runs.PendingTask{Attempt: 1, ScheduledAt: &soon}), &present, nil, true, []runs.ReasonCode{runs.WhyThinking}},
		"a task waits":                {task(runs.EndingOpen, runs.PendingTask{Attempt: 1, ScheduledAt: ago(5 * time.Second)}), &present, nil, false, []runs.ReasonCode{runs.WhyBacklog}},
		"a task waits for nobody":     {task(runs.EndingOpen, runs.PendingTask{Attempt: 1, ScheduledAt: ago(0)}), &absent, nil, false, []runs.ReasonCode{runs.WhyNoWorker}},
		"a task waits, queue unknown": {task(runs.EndingOpen, runs.PendingTask{Attempt: 1, ScheduledAt: ago(5 * time.Second)}), nil, nil, false, []runs.ReasonCode{runs.WhyBacklog}},
		"its code fails":              {task(runs.EndingStuck, runs.PendingTask{Attempt: 9, ScheduledAt: ago(time.Second)}), &present, nil, false, []runs.ReasonCode{runs.WhyWorkflowStuck}},
		"it was terminated":           {runs.Execution{Ending: runs.EndingTerminated, ClosedAt: ago(time.Second)}, &present, nil, false, []runs.ReasonCode{runs.WhyWorkflowEnded}},
		"it was deleted":              {runs.Execution{}, &present, fault.New(fault.NotFound, "gone"), false, []runs.ReasonCode{runs.WhyWorkflowEnded}},
		"the engine is away":          {runs.Execution{}, &present, fault.New(fault.Unavailable, "away"), false, []runs.ReasonCode{runs.WhyEngineAway}},
		"the engine is broken":        {runs.Execution{}, &present, errors.New("nobody expected this"), false, []runs.ReasonCode{runs.WhyEngineAway}},
		"a step waits for nobody":     {thinks(runs.PendingActivity{Attempt: 1, ScheduledAt: ago(0)}), &absent, nil, false, []runs.ReasonCode{runs.WhyNoWorker}},
		"a step is under way":         {thinks(runs.PendingActivity{Attempt: 1, StartedAt: &soon}), &present, nil, true, []runs.ReasonCode{runs.WhyThinking}},
		"the model is silent":         {thinks(runs.PendingActivity{Attempt: 1, StartedAt: ago(time.Minute)}), &present, nil, false, []runs.ReasonCode{runs.WhyProviderSlow}},
		"it thinks silently":          {thinks(runs.PendingActivity{Attempt: 1, StartedAt: ago(time.Minute), WorkingAt: &soon}), &present, nil, true, []runs.ReasonCode{runs.WhyThinking}},
		"it thought before":           {thinks(runs.PendingActivity{Attempt: 1, StartedAt: ago(time.Hour), WorkingAt: ago(time.Minute)}), &present, nil, false, []runs.ReasonCode{runs.WhyProviderSlow}},
		"an earlier attempt thought":  {thinks(runs.PendingActivity{Attempt: 2, StartedAt: ago(time.Minute), WorkingAt: ago(time.Hour)}), &present, nil, false, []runs.ReasonCode{runs.WhyProviderSlow}},
		"a step is to be tried again": {thinks(runs.PendingActivity{Attempt: 3, LastFailure: "overloaded", FailureType: "model:overloaded", NextAttemptAt: &soon}), &present, nil, false, []runs.ReasonCode{runs.WhyRetrying}},
		"a step is tried again":       {thinks(runs.PendingActivity{Attempt: 3, LastFailure: "overloaded", FailureType: "model:overloaded", StartedAt: &soon}), &present, nil, true, []runs.ReasonCode{runs.WhyRetrying, runs.WhyThinking}},
		"a retry waits for nobody":    {thinks(runs.PendingActivity{Attempt: 3, LastFailure: "x", FailureType: "timeout", ScheduledAt: ago(time.Minute)}), &absent, nil, false, []runs.ReasonCode{runs.WhyRetrying, runs.WhyNoWorker}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := interrogate(t)
			i.execution, i.err = c.execution, c.err
			if i.queueErr = errors.New("unknown"); c.queue != nil {
				i.queue, i.queueErr = *c.queue, nil
			}
			i.want(t, c.moving, c.want...)
		})
	}
}

func TestARunThatWasNotHandedOverIsExplained(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	i.exec(t, `update agent_runs set status = 'queued', started_at = null where id = $1`, i.run)
	i.err = fault.New(fault.NotFound, "never heard of")
	i.want(t, false, runs.WhyNotDispatched)
}

// An engine that is away says nothing of a run whose log has just grown: it is at work.
func TestARunAtWorkWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	i.err = fault.New(fault.Unavailable, "away")
	i.exec(t, `insert into run_events (tenant_id, run_id, seq, type, at, data) values ($1, $2, 1, 'message_delta', now() + interval '1 hour', '{}')`, i.tenant, i.run)
	i.want(t, true, runs.WhyEngineAway)
}

func TestToolsAreExplained(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	call := toolCall(i.run, 1)
	if _, err := i.RecordStep(i.ctx, answer(i.run, 1, call)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := i.BeginCall(i.ctx, i.run, call.ID); err != nil {
		t.Fatal(err)
	}
	acts := runs.PendingActivity{Work: runs.WorkAct, Attempt: 1, StartedAt: ago(time.Second)}
	i.execution.PendingActivities = []runs.PendingActivity{acts}
	r := i.want(t, true, runs.WhyToolRunning)[0]
	if r.Data.Tool != "calculator" || *r.Data.ToolCallID != call.ID || r.Since == nil {
		t.Errorf("%+v, %+v", r, r.Data)
	}
	acts = runs.PendingActivity{Work: runs.WorkAct, Attempt: 2, MaxAttempts: 3, NextAttemptAt: ago(-time.Hour), LastFailure: "It cannot be reached.", FailureType: string(fault.Unavailable)}
	i.execution.PendingActivities = []runs.PendingActivity{acts}
	r = i.want(t, false, runs.WhyRetrying)[0]
	if r.Data.Tool != "calculator" || r.Data.Attempt != 2 || r.Data.MaxAttempts != 3 || r.Data.LastError != "It cannot be reached." || !strings.Contains(r.Detail, "attempt 2 of 3") {
		t.Errorf("%+v, %+v", r, r.Data)
	}
}

// A last error is what the log would tell at the end, and no longer than people read.
func TestLastErrorsDoNotLeak(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	for name, c := range map[string]struct{ kind, message, want string }{
		"a panic":            {"PanicError", "at 0xc000: secret", "An unexpected failure."},
		"a defect":           {string(fault.Internal), "select secret from table", "An unexpected failure."},
		"no type":            {"", "secret", "An unexpected failure."},
		"a worker went away": {"interrupted", "context canceled: secret", "The worker that did it went away."},
		"no heartbeat":       {"timeout", "activity Heartbeat timeout", "The worker that did it was not heard of any more."},
		"the provider's own": {"model:overloaded", "try later", "try later"},
		"a long one":         {"model:overloaded", strings.Repeat("ü", 500), strings.Repeat("ü", 248) + " …"},
	} {
		i.execution.PendingActivities = []runs.PendingActivity{{Work: runs.WorkThink, Attempt: 2, LastFailure: c.message, FailureType: c.kind, NextAttemptAt: ago(-time.Hour)}}
		r := i.want(t, false, runs.WhyRetrying)[0]
		if r.Data.LastError != c.want || strings.Contains(r.Detail, "secret") {
			t.Errorf("%s: %q, %q", name, r.Data.LastError, r.Detail)
		}
	}
}

func TestFinishedRunsAreExplained(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	i.execution.Ending = runs.EndingCompleted
	i.hook = func() { // it ends between the two questions
		if _, err := i.Finished(i.ctx, i.run, runs.Outcome{Status: runs.Failed, Code: "model_error", Message: "It was " + strings.Repeat("very ", 200) + "busy."}); err != nil {
			t.Error(err)
		}
	}
	r := i.want(t, false, runs.WhyFinished)[0]
	if r.Data.Outcome != runs.Failed || r.Data.ErrorCode != "model_error" || r.Since == nil {
		t.Errorf("%+v, %+v", r, r.Data)
	}
}

func TestOtherTenantsRunsAreNotExplained(t *testing.T) {
	t.Parallel()
	i := interrogate(t)
	stranger, _ := i.db.Tenant(t, "b")
	for _, id := range []uuid.UUID{i.run, uuid.New()} {
		if _, err := i.Explain(stranger, id); !fault.Is(err, fault.NotFound) {
			t.Errorf("explained with %v", err)
		}
	}
}

// The document lists the codes that there are, in their order, and so does the API's description.
func TestReasonCodesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []runs.ReasonCode
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, runs.ReasonCode(row[1]))
	}
	if !slices.Equal(documented, runs.ReasonCodes()) {
		t.Errorf("documented are %v\nthere are      %v", documented, runs.ReasonCodes())
	}
	for _, code := range runs.ReasonCodes() {
		if code.Next() == "" {
			t.Errorf("%s does not say what happens next", code)
		}
	}
	field, _ := reflect.TypeFor[runs.Reason]().FieldByName("Code")
	var joined []string
	for _, code := range runs.ReasonCodes() {
		joined = append(joined, string(code))
	}
	if got := field.Tag.Get("enum"); got != strings.Join(joined, ",") {
		t.Errorf("the API describes %s", got)
	}
}
