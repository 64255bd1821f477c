package runs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/storable"
)

// Queues tells how the engine's task queue of runs fares.
type Queues interface {
	FindRunQueue(ctx context.Context) (QueueHealth, error)
}

// QueueHealth is what waits in the queue of runs, and who takes it.
type QueueHealth struct {
	Workflows, Activities Backlog
	Polling               bool        // a worker asks for tasks
	LastSeen              *clock.Time // when one last did; nil: not within the engine's memory
}

// Backlog is what waits for a worker, about.
type Backlog struct {
	Tasks      int64
	OldestWait time.Duration
}

// Pauses tells whether the tenant of the context begins runs; ok is false when it does.
type Pauses interface {
	FindPause(ctx context.Context) (p Pause, ok bool, err error)
}

// Pause is what keeps a tenant's runs from beginning.
type Pause struct {
	Scope  string // tenant or platform
	State  string // paused, draining, suspended, deleting
	Reason string
	By     string
	Since  *clock.Time
}

// Explaining is what Explain works with beside the other ports.
type Explaining struct {
	Queues    Queues
	Pauses    Pauses
	SlowAfter time.Duration // how long a model may be silent before that is the reason; zero: 10 s
}

const (
	slowAfter = 10 * time.Second
	// askLimit bounds how long the engine is asked.
	askLimit = 2 * time.Second
	// takenWithin is how long a task may wait without that being a reason.
	takenWithin = time.Second
)

// Explain says why a run of the tenant does not move, or what moves it. What the engine cannot be asked is
// left out, and said so; fault.NotFound when the tenant has no such run.
func (s *Service) Explain(ctx context.Context, id uuid.UUID) (Explanation, error) {
	x, err := s.explain(ctx, id)
	if err == nil && x.has(WhyWorkflowEnded) { // it may have ended between the two questions
		x, err = s.explain(ctx, id)
	}
	if err != nil {
		return Explanation{}, err
	}
	return x.conclude(), nil
}

func (s *Service) explain(ctx context.Context, id uuid.UUID) (*explaining, error) {
	k, err := s.store.known(ctx, id)
	if err != nil {
		return nil, err
	}
	x := &explaining{known: k, at: now(), slowAfter: cmp.Or(s.Explains.SlowAfter, slowAfter)}
	switch {
	case k.run.Status.Final():
		x.finished()
	case k.run.Held != nil:
		err = s.explainHeld(ctx, x)
	default:
		x.cancelling()
		x.approvals()
		s.askEngine(ctx, x)
	}
	return x, err
}

func (s *Service) explainHeld(ctx context.Context, x *explaining) error {
	p, paused, err := s.Explains.Pauses.FindPause(ctx)
	if err != nil {
		return err
	}
	switch x.run.Held.By {
	case HoldDelay:
		x.heldDelay()
	case HoldThread:
		x.heldThread()
	case HoldQuota:
		x.heldQuota()
	case HoldPause:
	}
	if paused || x.run.Held.By == HoldPause { // also what will hold it next
		x.heldPause(p, paused)
	}
	return nil
}

// askEngine adds what the engine knows of the run.
func (s *Service) askEngine(ctx context.Context, x *explaining) {
	ctx, stop := context.WithTimeout(ctx, askLimit)
	defer stop()
	execution, err := s.Engine.FindExecution(ctx, scope.Tenant(ctx), x.run.ID)
	switch {
	case fault.Is(err, fault.NotFound):
		x.unknown()
		return
	case err != nil:
		s.Logger.WarnContext(ctx, "the engine could not be asked about a run", "run_id", x.run.ID, "error", err)
		x.engineAway()
		return
	}
	if queue, err := s.Explains.Queues.FindRunQueue(ctx); err == nil {
		x.queue = &queue
	}
	x.executes(execution)
}

// explaining gathers the reasons.
type explaining struct {
	known
	at        clock.Time
	slowAfter time.Duration
	queue     *QueueHealth // nil: not known
	reasons   []Reason
	moves     bool // although no reason says so
}

func (x *explaining) add(r Reason) { x.reasons = append(x.reasons, r) }

func (x *explaining) has(code ReasonCode) bool {
	return slices.ContainsFunc(x.reasons, func(r Reason) bool { return r.Code == code })
}

func (x *explaining) conclude() Explanation {
	if len(x.reasons) == 0 {
		x.between()
	}
	since := x.last()
	if first := x.reasons[0]; first.Since != nil {
		since = first.Since
	}
	return Explanation{RunID: x.run.ID, Status: x.run.Status, Moving: x.moving(), Since: *since, Reasons: x.reasons, Next: x.next()}
}

// between is the reason of a run that a worker is at without any step under way.
func (x *explaining) between() {
	r := Reason{Code: WhyThinking, Detail: "The run is between two steps.", Since: x.last()}
	switch x.run.Status { //nolint:exhaustive // the others are between steps or have ended
	case Queued:
		r.Detail = "The run is being started."
	case Waiting:
		r.Detail = "What it waited for has come: it is about to go on."
	}
	x.add(r)
}

func (x *explaining) moving() bool {
	works, stopped := x.moves, x.has(WhyEngineAway)
	for _, r := range x.reasons {
		works = works || r.Code.works()
		stopped = stopped || r.Code.stops()
	}
	return !x.has(WhyWorkflowStuck) && (works || x.has(WhyCancelling) && !stopped)
}

// next is the first reason's, unless a later one stops everything.
func (x *explaining) next() string {
	for _, r := range x.reasons {
		if r.Code.stops() {
			return r.Code.Next()
		}
	}
	return x.reasons[0].Code.Next()
}

// last is when the log last grew.
func (x *explaining) last() *clock.Time {
	if x.lastEvent != nil {
		return x.lastEvent
	}
	return &x.run.CreatedAt
}

func (x *explaining) finished() {
	r := Reason{
		Code: WhyFinished, Detail: fmt.Sprintf("The run has ended: it is %s.", x.run.Status), Since: x.run.FinishedAt,
		Data: &Facts{Outcome: x.run.Status},
	}
	if e := x.run.Error; e != nil {
		r.Detail = fmt.Sprintf("The run has ended: it is %s. %s", x.run.Status, clip(e.Message))
		r.Data.ErrorCode = string(e.Code)
	}
	x.add(r)
}

func (x *explaining) heldDelay() {
	r := Reason{Code: WhyHeldDelay, Detail: "It is to be started later.", Since: &x.run.Held.At, Until: x.run.DueAt}
	if x.run.DueAt != nil && !x.run.DueAt.After(x.at) {
		r.Detail = "Its time has come: it is about to be started."
	}
	x.add(r)
}

func (x *explaining) heldThread() {
	r := Reason{
		Code: WhyHeldThread, Detail: "The runs before it on the thread have ended: it is about to be started.", Since: &x.run.Held.At,
		Data: &Facts{Position: x.before + 1},
	}
	switch {
	case x.active != nil:
		r.Detail, r.Data.RunID = fmt.Sprintf("Run %s is active on the thread.", x.active), x.active
	case x.head != nil && x.before > 0:
		r.Detail, r.Data.RunID = fmt.Sprintf("Run %s comes first on the thread.", x.head), x.head
	}
	if x.before > 0 {
		r.Detail += fmt.Sprintf(" %d more wait before this one.", x.before)
	}
	x.add(r)
}

func (x *explaining) heldPause(p Pause, paused bool) {
	if !paused {
		x.add(Reason{Code: WhyHeldPause, Detail: "The pause is over: it is about to be started.", Since: &x.run.Held.At})
		return
	}
	r := Reason{
		Code: WhyHeldPause, Detail: fmt.Sprintf("The %s is %s.", p.Scope, p.State), Since: p.Since,
		Data: &Facts{Scope: p.Scope, State: p.State, By: p.By, Reason: p.Reason},
	}
	if p.Reason != "" {
		r.Detail += " Reason: " + p.Reason
	}
	x.add(r)
}

func (x *explaining) heldQuota() {
	if !x.quotasUsedUp(WhyHeldQuota, &x.run.Held.At) {
		x.add(Reason{Code: WhyHeldQuota, Detail: "The quota is free again: it is about to be started.", Since: &x.run.Held.At})
	}
}

// quotasUsedUp adds a reason for each quota of the tenant that is used up.
func (x *explaining) quotasUsedUp(code ReasonCode, since *clock.Time) (any bool) {
	for _, q := range x.quotas {
		if q.used.LessThan(q.limit) {
			continue
		}
		any = true
		detail := fmt.Sprintf("The quota %s is used up: %s of %s.", q.name, q.used, q.limit)
		if q.freesAt == nil {
			detail += " It frees when a run ends."
		}
		x.add(Reason{Code: code, Detail: detail, Since: since, Until: q.freesAt, Data: &Facts{Quota: q.name, Limit: &q.limit, Used: &q.used}})
	}
	return any
}

func (x *explaining) cancelling() {
	if c := x.run.Cancel; c != nil {
		x.add(Reason{
			Code: WhyCancelling, Detail: fmt.Sprintf("%s asked it to stop.", c.By), Since: &c.At, Data: &Facts{By: c.By, Reason: c.Reason},
		})
	}
}

// approvals adds what a waiting run waits for.
func (x *explaining) approvals() {
	for _, a := range x.asked {
		x.add(Reason{
			Code: WhyWaitingApproval, Detail: fmt.Sprintf("Somebody is to approve the tool call %s.", a.tool), Since: &a.requestedAt, Until: &a.expiresAt,
			Data: &Facts{ApprovalID: &a.id, ToolCallID: &a.call, Tool: a.tool, Step: a.step},
		})
	}
	if x.run.Status == Waiting && x.waitsFor == waitForQuota && !x.quotasUsedUp(WhyWaitingQuota, x.last()) {
		x.add(Reason{Code: WhyWaitingQuota, Detail: "It waits for a quota, which is free again: it is about to go on.", Since: x.last()})
	}
}

func (x *explaining) engineAway() {
	x.moves = x.run.Status == Running && x.lastEvent != nil && x.at.Sub(*x.lastEvent) < x.slowAfter
	r := Reason{Code: WhyEngineAway, Detail: "Temporal cannot be asked about the run."}
	if x.moves {
		r.Detail += " It was at work moments ago."
	}
	x.add(r)
}

// unknown adds why the engine does not know the run.
func (x *explaining) unknown() {
	if x.run.Status == Queued {
		x.add(Reason{Code: WhyNotDispatched, Detail: "It was accepted, and Temporal has not heard of it yet.", Since: &x.run.CreatedAt})
		return
	}
	x.add(Reason{Code: WhyWorkflowEnded, Detail: "Its workflow is gone from Temporal.", Since: x.last()})
}

// clip shortens what is repeated of a failure.
func clip(text string) string {
	return storable.Clip(text, maxLastError)
}
