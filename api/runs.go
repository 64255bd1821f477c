package api

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/runs"
)

const (
	tagRuns = "runs"
	// waitLimit bounds a request that waits for a run; what has not ended then is answered as it is.
	waitLimit = 5 * time.Minute
)

// RunRoutes is the family of runs.
func RunRoutes(service *runs.Service, log *runs.Log) []Route {
	h := runHandlers{service, log}
	return []Route{
		Handle("POST", "/v1/runs", auth.RunCreate, Meta{
			ID: "createRun", Tag: tagRuns, Summary: "Start a run", Status: 202, Creates: true,
			Description: "Accepts a run and answers at once; follow it at `/v1/runs/{run_id}/stream`.",
		}, h.create),
		Handle("POST", "/v1/runs/wait", auth.RunCreate, Meta{
			ID: "createRunAndWait", Tag: tagRuns, Summary: "Start a run and wait for its end", Creates: true, Resumes: true, Timeout: waitLimit,
			Description: "Answers when the run is final, or after five minutes with the run as it is then.",
		}, h.createAndWait),
		Stream("POST", "/v1/runs/stream", auth.RunCreate, Meta{
			ID: "createRunAndStream", Tag: tagRuns, Summary: "Start a run and stream it", Creates: true, Events: true,
			Description: "Accepts a run and answers with its events. The run goes on when the connection breaks: its place is in the `Location` header.",
		}, h.createAndStream),
		Handle("GET", "/v1/runs", auth.RunRead, Meta{ID: "listRuns", Tag: tagRuns, Summary: "List runs, newest first"}, h.list),
		Handle("GET", "/v1/runs/{run_id}", auth.RunRead, Meta{ID: "getRun", Tag: tagRuns, Summary: "Get a run"}, h.get),
		Handle("GET", "/v1/runs/{run_id}/events", auth.RunRead, Meta{
			ID: "listRunEvents", Tag: tagRuns, Summary: "Read a run's event log",
			Description: "A page of the log after a position; `next_cursor` is null when the run has ended and nothing follows.",
		}, h.events),
		Stream("GET", "/v1/runs/{run_id}/stream", auth.RunRead, Meta{
			ID: "streamRun", Tag: tagRuns, Summary: "Follow a run", Events: true,
			Description: "Server-sent events: everything after the position, then live, without a gap or a duplicate; ends after the final event. Resume with `Last-Event-ID` or `after`. Answers 204 when nothing follows the position any more.",
		}, h.stream),
		Handle("POST", "/v1/runs/{run_id}/cancel", auth.RunUpdate, Meta{
			ID: "cancelRun", Tag: tagRuns, Summary: "Stop a run", Status: 202, Also: []int{200}, Timeout: waitLimit,
			Description: "Asks the run to stop; the model's request is aborted. With `wait=true` the answer comes when the run is final. A run that has ended answers 409.",
		}, h.cancel),
		Handle("POST", "/v1/runs/cancel", auth.RunUpdate, Meta{
			ID: "cancelRuns", Tag: tagRuns, Summary: "Stop many runs", Status: 202,
			Description: "Asks every active run that fits the filter to stop; they end in their own time. At least one filter is needed: to stop every run, name the status `queued`, `running` and `waiting`.",
		}, h.cancelMany),
		Handle("POST", "/v1/runs/{run_id}/retry", auth.RunUpdate, Meta{
			ID: "retryRun", Tag: tagRuns, Summary: "Make a run again", Status: 202, Creates: true,
			Needs: []auth.Permission{auth.RunCreate},
			Description: "Starts a new run with the input and limits of one that has ended, and its agent as it is now. What a run that failed left at the end of its thread gives way to the new one. A run that has not ended answers 409.",
		}, h.retry),
		Handle("POST", "/v1/runs/{run_id}/fork", auth.RunCreate, Meta{
			ID: "forkRun", Tag: tagRuns, Summary: "Start a run from a step of another one", Status: 202, Creates: true,
			Description: "The new run takes over the recorded steps before the step, with their tool calls, and goes on by itself. They are not billed again. It belongs to no thread: what had been said on the other run's thread is part of its input.",
		}, h.fork),
		Handle("POST", "/v1/runs/{run_id}/messages", auth.RunUpdate, Meta{
			ID: "sendMessage", Tag: tagRuns, Summary: "Send a message into a live run", Status: 202, Creates: true,
			Description: "The message is shown to the model at the next step.",
		}, h.send),
		Handle("POST", "/v1/runs/{run_id}/approvals/{approval_id}", auth.RunUpdate, Meta{
			ID: "resolveApproval", Tag: tagRuns, Summary: "Approve or reject a tool call",
			Description: "The same answer twice is one answer; another one is refused with 409.",
		}, h.resolve),
	}
}

// RuntimeRoutes is the family of the engine's own view.
func RuntimeRoutes(service *runs.Service) []Route {
	h := runHandlers{service: service}
	return []Route{
		Handle("GET", "/v1/runtime/runs", auth.RunRead, Meta{
			ID: "listExecutions", Tag: "runtime", Summary: "List the engine's executions of runs",
			Description: "Temporal's own listing, newest first; it may lag behind by a second.",
		}, h.executions),
		Handle("GET", "/v1/runtime/runs/{run_id}", auth.RunRead, Meta{
			ID: "getExecution", Tag: "runtime", Summary: "Get the engine's view of a run",
			Description: "Workflow id, task queue, pending activities with their attempts, size of the history, link to the Temporal UI.",
		}, h.execution),
	}
}

type runHandlers struct {
	service *runs.Service
	log     *runs.Log
}

// start creates a run under the id that an idempotency key reserved, if there is one.
func (h runHandlers) start(ctx context.Context, in *runs.NewRun) (runs.Run, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	r, err := h.service.Create(ctx, *in)
	warnOf(ctx, r.Warnings)
	return r, err
}

func (h runHandlers) create(ctx context.Context, in *runs.NewRun) (runView, error) {
	r, err := h.start(ctx, in)
	return viewRun(r), err
}

func (h runHandlers) createAndWait(ctx context.Context, in *runs.NewRun) (runView, error) {
	r, err := h.start(ctx, in)
	if err != nil {
		return runView{}, err
	}
	r, err = h.service.WaitFinal(ctx, r.ID)
	return viewRun(r), err
}

func (h runHandlers) createAndStream(ctx context.Context, in *runs.NewRun) (Source, error) {
	r, err := h.start(ctx, in)
	if err != nil {
		return nil, err
	}
	Locate(ctx, viewRun(r).Location())
	return h.source(r.ID, 0), nil
}

type runPath struct {
	RunID uuid.UUID `path:"run_id" description:"The run."`
}

func (h runHandlers) get(ctx context.Context, in *runPath) (runView, error) {
	r, err := h.service.Shown(ctx, in.RunID)
	return viewRun(r), err
}

type listRuns struct {
	page.Request
	Status        []runs.Status `query:"status" validate:"omitempty,dive,oneof=queued running waiting completed failed cancelled timed_out" description:"Only runs in one of these states."`
	AgentID       *uuid.UUID    `query:"agent_id" description:"Only runs of this agent."`
	ThreadID      *uuid.UUID    `query:"thread_id" description:"Only runs on this thread."`
	ScheduleID    *uuid.UUID    `query:"schedule_id" description:"Only runs of this schedule."`
	WorkspaceID   *uuid.UUID    `query:"workspace_id" description:"Only runs of this workspace."`
	CreatedAfter  *time.Time    `query:"created_after" description:"Only runs created at this time or later."`
	CreatedBefore *time.Time    `query:"created_before" description:"Only runs created before this time."`
}

func (h runHandlers) list(ctx context.Context, in *listRuns) (page.Page[runView], error) {
	found, err := h.service.FindAll(ctx, runs.Filter{
		Status: in.Status, AgentID: in.AgentID, ThreadID: in.ThreadID, ScheduleID: in.ScheduleID, WorkspaceID: in.WorkspaceID,
		CreatedAfter: in.CreatedAfter, CreatedBefore: in.CreatedBefore,
	}, in.Request)
	return page.Map(found, viewRun), err
}

type listEvents struct {
	runPath
	After  *Position `query:"after" description:"Position after which to read; absent: from the beginning. Not together with cursor."`
	Cursor string    `query:"cursor" description:"next_cursor of the page before; absent: the first page."`
	Limit  int       `query:"limit" validate:"min=1,max=1000" default:"200" description:"Events of one page at most."`
}

type eventPage struct {
	Items      []event.Event `json:"items" required:"true" nullable:"false"`
	NextCursor *string       `json:"next_cursor" required:"true" description:"Cursor of the next page; null when the log has ended."`
}

// start returns the position after which the page begins.
func (l listEvents) start() (int64, error) {
	switch {
	case l.Cursor != "" && l.After != nil:
		return 0, fault.InvalidField("after", "excluded_with", "must not be given together with cursor")
	case l.Cursor != "":
		return page.DecodeNumber(l.Cursor)
	case l.After != nil:
		return int64(*l.After), nil
	}
	return 0, nil
}

func (h runHandlers) events(ctx context.Context, in *listEvents) (eventPage, error) {
	after, err := in.start()
	if err != nil {
		return eventPage{}, err
	}
	limit := in.Limit
	if limit == 0 {
		limit = 200
	}
	items, err := h.log.Page(ctx, in.RunID, after, limit)
	if err != nil {
		return eventPage{}, err
	}
	p := eventPage{Items: items}
	if n := len(items); n > 0 {
		after = items[n-1].Seq
		if items[n-1].Final() {
			return p, nil
		}
	}
	next := page.EncodeNumber(after)
	p.NextCursor = &next
	return p, nil
}

type followRun struct {
	runPath
	Resume
}

func (h runHandlers) stream(ctx context.Context, in *followRun) (Source, error) {
	after := in.Position()
	ended, err := h.log.CheckPosition(ctx, in.RunID, after)
	if err != nil || ended {
		return nil, err
	}
	return h.source(in.RunID, after), nil
}

// source projects a run's log onto server-sent events.
func (h runHandlers) source(run uuid.UUID, after int64) Source {
	return func(ctx context.Context, send func(...Frame) error) error {
		return h.log.Tail(ctx, run, after, func(events []event.Event) error {
			frames := make([]Frame, 0, len(events))
			for _, e := range events {
				data, err := json.Marshal(e)
				if err != nil {
					return fmt.Errorf("encode event %d of run %s: %w", e.Seq, run, err)
				}
				frames = append(frames, Frame{ID: e.Seq, Event: string(e.Type), Data: data})
			}
			return send(frames...)
		})
	}
}

type cancelRun struct {
	runPath
	Wait   bool   `query:"wait" description:"Answer when the run is final."`
	Reason string `json:"reason,omitempty" validate:"max=500" description:"Is recorded and shown." example:"no longer needed"`
}

func (h runHandlers) cancel(ctx context.Context, in *cancelRun) (cancelAnswer, error) {
	r, err := h.service.Cancel(ctx, in.RunID, in.Reason)
	if err == nil && in.Wait {
		r, err = h.service.WaitFinal(ctx, in.RunID)
	}
	return cancelAnswer{viewRun(r)}, err
}

// cancelAnswer is 200 once the run is final.
type cancelAnswer struct {
	runView
}

// Respond sets the status.
func (a cancelAnswer) Respond(h *Head) {
	if a.Status.Final() {
		h.Status = 200
	}
}

type cancelRuns struct {
	Status        []runs.Status `json:"status,omitempty" validate:"max=3,dive,oneof=queued running waiting" description:"Only runs in one of these states."`
	AgentID       *uuid.UUID    `json:"agent_id,omitempty" description:"Only runs of this agent."`
	ThreadID      *uuid.UUID    `json:"thread_id,omitempty" description:"Only runs on this thread."`
	ScheduleID    *uuid.UUID    `json:"schedule_id,omitempty" description:"Only runs of this schedule."`
	WorkspaceID   *uuid.UUID    `json:"workspace_id,omitempty" description:"Only runs of this workspace."`
	CreatedAfter  *time.Time    `json:"created_after,omitempty" description:"Only runs created at this time or later."`
	CreatedBefore *time.Time    `json:"created_before,omitempty" description:"Only runs created before this time."`
	Reason        string        `json:"reason,omitempty" validate:"max=500" description:"Is recorded and shown." example:"no longer needed"`
}

type cancelledRuns struct {
	Cancelling int `json:"cancelling" required:"true" description:"How many runs were asked to stop by this request." example:"12"`
}

func (h runHandlers) cancelMany(ctx context.Context, in *cancelRuns) (cancelledRuns, error) {
	n, err := h.service.CancelAll(ctx, runs.Filter{
		Status: in.Status, AgentID: in.AgentID, ThreadID: in.ThreadID, ScheduleID: in.ScheduleID, WorkspaceID: in.WorkspaceID,
		CreatedAfter: in.CreatedAfter, CreatedBefore: in.CreatedBefore,
	}, in.Reason)
	return cancelledRuns{n}, err
}

type retryRun struct {
	runPath
	runs.Retry
}

func (h runHandlers) retry(ctx context.Context, in *retryRun) (runView, error) {
	in.Retry.ID, _ = idempotency.ResourceID(ctx)
	r, err := h.service.Retry(ctx, in.RunID, in.Retry)
	warnOf(ctx, r.Warnings)
	return viewRun(r), err
}

type forkRun struct {
	runPath
	runs.Fork
}

func (h runHandlers) fork(ctx context.Context, in *forkRun) (runView, error) {
	in.Fork.ID, _ = idempotency.ResourceID(ctx)
	r, err := h.service.Fork(ctx, in.RunID, in.Fork)
	warnOf(ctx, r.Warnings)
	return viewRun(r), err
}

type sendMessage struct {
	runPath
	Content string `json:"content" validate:"required,max=200000" description:"What the user says." example:"Only consider this year."`
}

type messageView struct {
	ID        uuid.UUID  `json:"id" required:"true"`
	RunID     uuid.UUID  `json:"run_id" required:"true"`
	Content   string     `json:"content" required:"true"`
	CreatedAt clock.Time `json:"created_at" required:"true"`
}

func (h runHandlers) send(ctx context.Context, in *sendMessage) (messageView, error) {
	id, _ := idempotency.ResourceID(ctx)
	m, err := h.service.Send(ctx, in.RunID, id, in.Content)
	return messageView{ID: m.ID, RunID: in.RunID, Content: m.Content, CreatedAt: m.CreatedAt}, err
}

type resolveApproval struct {
	runPath
	ApprovalID uuid.UUID       `path:"approval_id" description:"The approval."`
	Decision   string          `json:"decision" validate:"required,oneof=approve reject" enum:"approve,reject" description:"What the human decided."`
	Arguments  json.RawMessage `json:"arguments,omitempty" description:"Arguments in place of the model's; only with approve."`
	Reason     string          `json:"reason,omitempty" validate:"max=500" description:"Is recorded; a rejection's is shown to the model."`
}

type approvalView struct {
	ID         uuid.UUID     `json:"id" required:"true"`
	RunID      uuid.UUID     `json:"run_id" required:"true"`
	ToolCallID uuid.UUID     `json:"tool_call_id" required:"true"`
	Status     runs.Decision `json:"status" required:"true" enum:"pending,approved,rejected,expired"`
	Reason     string        `json:"reason" required:"true"`
	ExpiresAt  clock.Time    `json:"expires_at" required:"true"`
	ResolvedAt *clock.Time   `json:"resolved_at" required:"true"`
	ResolvedBy string        `json:"resolved_by" required:"true"`
}

func (h runHandlers) resolve(ctx context.Context, in *resolveApproval) (approvalView, error) {
	decision := runs.Approved
	if in.Decision == "reject" {
		decision = runs.Rejected
	}
	a, err := h.service.Resolve(ctx, in.RunID, in.ApprovalID, runs.Answer{Decision: decision, Arguments: in.Arguments, Reason: in.Reason})
	return approvalView{
		ID: a.ID, RunID: a.RunID, ToolCallID: a.ToolCallID, Status: a.Decision, Reason: a.Reason,
		ExpiresAt: a.ExpiresAt, ResolvedAt: a.ResolvedAt, ResolvedBy: a.ResolvedBy,
	}, err
}

func (h runHandlers) executions(ctx context.Context, in *page.Request) (page.Page[runs.Execution], error) {
	return h.service.FindExecutions(ctx, *in)
}

func (h runHandlers) execution(ctx context.Context, in *runPath) (runs.Execution, error) {
	return h.service.FindExecution(ctx, in.RunID)
}
