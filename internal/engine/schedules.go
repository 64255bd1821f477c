package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/larirun/lari/activities"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/schedules"
	"github.com/larirun/lari/workflows"
)

var _ schedules.Engine = (*Engine)(nil)

// scheduleLimit bounds one call about a schedule. Temporal's own worker answers them, which takes some seconds to
// begin in a namespace that has had no schedule; a caller who waits ten is answered before he gives up.
const scheduleLimit = 7 * time.Second

// CreateSchedule makes a schedule; one that exists is no error.
func (e *Engine) CreateSchedule(ctx context.Context, d schedules.Definition) error {
	if !e.prepared.Load() {
		return fault.New(fault.Unavailable, "Temporal cannot be reached, or is being prepared.").After(retryUnavailable)
	}
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	spec := specOf(d.Entries)
	_, err := e.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: workflows.ScheduleID(d.TenantID, d.ID), Spec: spec, Action: firing(d), Overlap: overlapOf(d.Policy.Overlap),
		CatchupWindow: d.Policy.CatchUp, PauseOnFailure: d.Policy.PauseOnFailure, Paused: d.Paused, Note: d.Note,
		Memo:                  map[string]any{"name": d.Name},
		TypedSearchAttributes: temporal.NewSearchAttributes(workflows.TenantID.ValueSet(d.TenantID.String())),
	})
	var exists *serviceerror.AlreadyExists
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) || errors.As(err, &exists) {
		return nil
	}
	return scheduleFault(err)
}

// firing is what a schedule starts. Its attributes are those of the firings.
func firing(d schedules.Definition) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: workflows.ScheduleID(d.TenantID, d.ID), TaskQueue: workflows.ScheduleQueue, Workflow: workflows.FireScheduleName,
		Args: []any{workflows.FireInput{
			ScheduleRef:  activities.ScheduleRef{TenantID: d.TenantID, ScheduleID: d.ID},
			FailTogether: d.Policy.PauseOnFailure,
		}},
		StaticSummary: d.Name,
		Priority:      temporal.Priority{FairnessKey: d.TenantID.String()},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.TenantID.ValueSet(d.TenantID.String()), workflows.TriggerKind.ValueSet("schedule")),
	}
}

// FindSchedule gives what Temporal holds; found is false when it knows no such schedule.
func (e *Engine) FindSchedule(ctx context.Context, tenant, id uuid.UUID) (h schedules.Held, found bool, err error) {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	d, err := e.handle(ctx, tenant, id).Describe(ctx)
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return schedules.Held{}, false, nil
	case err != nil:
		return schedules.Held{}, false, translate(err)
	}
	h = schedules.Held{
		Policy: schedules.Policy{
			Overlap: overlapFrom(d.Schedule.Policy.Overlap), CatchUp: d.Schedule.Policy.CatchupWindow, PauseOnFailure: d.Schedule.Policy.PauseOnFailure,
		},
		Paused: d.Schedule.State.Paused, Note: d.Schedule.State.Note, Next: d.Info.NextActionTimes,
		Counts: schedules.FiringCounts{
			Started: d.Info.NumActions, SkippedOverlap: d.Info.NumActionsSkippedOverlap, Missed: d.Info.NumActionsMissedCatchupWindow,
		},
	}
	taken := func(x *client.ScheduleWorkflowExecution) {
		if x == nil {
			return
		}
		if at, ok := workflows.FiringTime(tenant, id, x.WorkflowID); ok {
			h.Taken = append(h.Taken, at)
		}
	}
	for _, x := range d.Info.RunningWorkflows {
		taken(&x)
	}
	for _, x := range d.Info.RecentActions {
		taken(x.StartWorkflowResult)
	}
	if h.Entries, err = entriesFrom(d.Schedule.Spec); err != nil {
		return schedules.Held{}, true, err
	}
	h.Plan, h.Covered = h.Entries.Plan()
	return h, true, nil
}

// UpdateSchedule replaces plan, policy and name; whether it is paused stays.
func (e *Engine) UpdateSchedule(ctx context.Context, d schedules.Definition) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	spec := specOf(d.Entries)
	return scheduleFault(e.handle(ctx, d.TenantID, d.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := in.Description.Schedule
			s.Spec, s.Action = &spec, firing(d)
			s.Policy = &client.SchedulePolicies{
				Overlap: overlapOf(d.Policy.Overlap), CatchupWindow: d.Policy.CatchUp, PauseOnFailure: d.Policy.PauseOnFailure,
			}
			return &client.ScheduleUpdate{Schedule: &s}, nil
		},
	}))
}

// RenewSchedule replaces the entries of a schedule by those that renew returns for what Temporal holds, and nothing
// else of it. A change that somebody makes at the same time stands; the entries are not replaced then. No schedule is
// no error.
func (e *Engine) RenewSchedule(ctx context.Context, tenant, id uuid.UUID, renew func(schedules.Held) (schedules.Entries, bool)) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	service, name := e.client.WorkflowService(), workflows.ScheduleID(tenant, id)
	// Described before it is looked at: what is changed in between makes the token of this description void.
	d, err := service.DescribeSchedule(ctx, &workflowservice.DescribeScheduleRequest{Namespace: e.namespace, ScheduleId: name})
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return translate(err)
	}
	h, found, err := e.FindSchedule(ctx, tenant, id)
	if err != nil || !found {
		return err
	}
	entries, ok := renew(h)
	if !ok {
		return nil
	}
	s := d.GetSchedule()
	s.Spec.StructuredCalendar, s.Spec.ExcludeStructuredCalendar, s.Spec.Interval = nil, nil, nil
	for _, c := range entries.Calendars {
		s.Spec.StructuredCalendar = append(s.Spec.StructuredCalendar, structured(c))
	}
	for _, c := range entries.Excluded {
		s.Spec.ExcludeStructuredCalendar = append(s.Spec.ExcludeStructuredCalendar, structured(c))
	}
	for _, i := range entries.Intervals {
		s.Spec.Interval = append(s.Spec.Interval, &schedulepb.IntervalSpec{Interval: durationpb.New(i.Every), Phase: durationpb.New(i.Offset)})
	}
	_, err = service.UpdateSchedule(ctx, &workflowservice.UpdateScheduleRequest{
		Namespace: e.namespace, ScheduleId: name, Schedule: s, ConflictToken: d.GetConflictToken(), RequestId: uuid.NewString(),
	})
	return scheduleFault(err)
}

// structured is calendarOf for requests that the SDK does not make.
func structured(c schedules.Calendar) *schedulepb.StructuredCalendarSpec {
	spec := calendarOf(c)
	ranges := func(from []client.ScheduleRange) (all []*schedulepb.Range) {
		for _, r := range from {
			all = append(all, &schedulepb.Range{Start: int32(r.Start), End: int32(r.End), Step: int32(r.Step)}) //nolint:gosec // at most a year
		}
		return all
	}
	return &schedulepb.StructuredCalendarSpec{
		Second: ranges(spec.Second), Minute: ranges(spec.Minute), Hour: ranges(spec.Hour), DayOfMonth: ranges(spec.DayOfMonth),
		Month: ranges(spec.Month), Year: ranges(spec.Year), DayOfWeek: ranges(spec.DayOfWeek), Comment: spec.Comment,
	}
}

// DeleteSchedule ends a schedule; none is no error.
func (e *Engine) DeleteSchedule(ctx context.Context, tenant, id uuid.UUID) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	return ignoreEnded(e.handle(ctx, tenant, id).Delete(ctx))
}

// PauseSchedule keeps a schedule from firing.
func (e *Engine) PauseSchedule(ctx context.Context, tenant, id uuid.UUID, note string) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	return scheduleFault(e.handle(ctx, tenant, id).Pause(ctx, client.SchedulePauseOptions{Note: note}))
}

// ResumeSchedule lets a schedule fire again.
func (e *Engine) ResumeSchedule(ctx context.Context, tenant, id uuid.UUID, note string) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	return scheduleFault(e.handle(ctx, tenant, id).Unpause(ctx, client.ScheduleUnpauseOptions{Note: note}))
}

// TriggerSchedule fires now. The SDK's own call cannot give a nominal time.
func (e *Engine) TriggerSchedule(ctx context.Context, tenant, id uuid.UUID, nominal time.Time, o schedules.Overlap) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	_, err := e.client.WorkflowService().PatchSchedule(ctx, &workflowservice.PatchScheduleRequest{
		Namespace: e.namespace, ScheduleId: workflows.ScheduleID(tenant, id), RequestId: uuid.NewString(),
		Patch: &schedulepb.SchedulePatch{TriggerImmediately: &schedulepb.TriggerImmediatelyRequest{
			OverlapPolicy: overlapOf(o), ScheduledTime: timestamppb.New(nominal),
		}},
	})
	return scheduleFault(err)
}

// BackfillSchedule fires for each firing time of a span.
func (e *Engine) BackfillSchedule(ctx context.Context, tenant, id uuid.UUID, from, to time.Time, o schedules.Overlap) error {
	ctx, stop := limitedTo(ctx, scheduleLimit)
	defer stop()
	return scheduleFault(e.handle(ctx, tenant, id).Backfill(ctx, client.ScheduleBackfillOptions{
		Backfill: []client.ScheduleBackfill{{Start: from, End: to, Overlap: overlapOf(o)}},
	}))
}

func (e *Engine) handle(ctx context.Context, tenant, id uuid.UUID) client.ScheduleHandle {
	return e.client.ScheduleClient().GetHandle(ctx, workflows.ScheduleID(tenant, id))
}

// scheduleFault is translate for requests whose content is the caller's: what Temporal does not take is his to mend.
func scheduleFault(err error) error {
	var invalid *serviceerror.InvalidArgument
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &invalid):
		return fault.InvalidField("spec", "temporal", "is refused by Temporal: %s", invalid.Message)
	case errors.As(err, &missing):
		return fault.Wrap(err, fault.Conflict, "Temporal does not know the schedule any more.")
	}
	return translate(err)
}

func overlapOf(o schedules.Overlap) enumspb.ScheduleOverlapPolicy {
	switch o {
	case schedules.OverlapSkip:
		return enumspb.SCHEDULE_OVERLAP_POLICY_SKIP
	case schedules.OverlapBufferOne:
		return enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
	case schedules.OverlapBufferAll:
		return enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL
	case schedules.OverlapCancelOther:
		return enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER
	case schedules.OverlapTerminateOther:
		return enumspb.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER
	case schedules.OverlapAllowAll:
		return enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
	}
	return enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED
}

// overlapFrom is overlapOf backwards; what is not specified is skip, by Temporal's own rule.
func overlapFrom(p enumspb.ScheduleOverlapPolicy) schedules.Overlap {
	for _, o := range schedules.Overlaps() {
		if overlapOf(o) == p {
			return o
		}
	}
	return schedules.OverlapSkip
}

// specOf is the entries as Temporal takes them.
func specOf(p schedules.Entries) client.ScheduleSpec {
	s := client.ScheduleSpec{TimeZoneName: p.Zone.String(), Jitter: p.Jitter, StartAt: p.StartAt, EndAt: p.EndAt}
	for _, c := range p.Calendars {
		s.Calendars = append(s.Calendars, calendarOf(c))
	}
	for _, c := range p.Excluded {
		s.Skip = append(s.Skip, calendarOf(c))
	}
	for _, i := range p.Intervals {
		s.Intervals = append(s.Intervals, client.ScheduleIntervalSpec{Every: i.Every, Offset: i.Offset})
	}
	return s
}

func calendarOf(c schedules.Calendar) client.ScheduleCalendarSpec {
	spec := client.ScheduleCalendarSpec{
		Second: rangesOf(c.Second), Minute: rangesOf(c.Minute), Hour: rangesOf(c.Hour), DayOfMonth: rangesOf(c.DayOfMonth),
		Month: rangesOf(c.Month), DayOfWeek: rangesOf(c.DayOfWeek), Comment: c.Comment,
	}
	for _, r := range yearSpans(c.Years) {
		spec.Year = append(spec.Year, client.ScheduleRange{Start: r[0], End: r[1], Step: 1})
	}
	return spec
}

// yearSpans are the runs of consecutive years.
func yearSpans(years []int) [][2]int {
	var spans [][2]int
	for _, y := range years {
		if n := len(spans); n > 0 && spans[n-1][1] == y-1 {
			spans[n-1][1] = y
		} else {
			spans = append(spans, [2]int{y, y})
		}
	}
	return spans
}

func rangesOf(set uint64) []client.ScheduleRange {
	ranges := []client.ScheduleRange{}
	for _, r := range schedules.Spans(set) {
		ranges = append(ranges, client.ScheduleRange{Start: r[0], End: r[1], Step: 1})
	}
	return ranges
}

// entriesFrom is specOf backwards, also for a spec that was made by other means.
func entriesFrom(s *client.ScheduleSpec) (schedules.Entries, error) {
	zone, err := time.LoadLocation(s.TimeZoneName)
	if err != nil {
		return schedules.Entries{}, fmt.Errorf("the time zone of a schedule: %w", err)
	}
	p := schedules.Entries{Zone: zone, Jitter: s.Jitter, StartAt: bound(s.StartAt), EndAt: bound(s.EndAt)}
	for _, c := range s.Calendars {
		p.Calendars = append(p.Calendars, calendarFrom(c))
	}
	for _, c := range s.Skip {
		p.Excluded = append(p.Excluded, calendarFrom(c))
	}
	for _, i := range s.Intervals {
		p.Intervals = append(p.Intervals, schedules.Interval{Every: i.Every, Offset: i.Offset})
	}
	return p, nil
}

// bound passes over the epoch, which stands for no bound in what the SDK reads.
func bound(t time.Time) time.Time {
	if t.Unix() <= 0 {
		return time.Time{}
	}
	return t.UTC()
}

func calendarFrom(s client.ScheduleCalendarSpec) schedules.Calendar {
	c := schedules.Calendar{
		Second: setFrom(s.Second), Minute: setFrom(s.Minute), Hour: setFrom(s.Hour), DayOfMonth: setFrom(s.DayOfMonth),
		Month: setFrom(s.Month), DayOfWeek: setFrom(s.DayOfWeek), Comment: s.Comment,
	}
	each(s.Year, func(y int) { c.Years = append(c.Years, y) })
	return c
}

func setFrom(ranges []client.ScheduleRange) (set uint64) {
	each(ranges, func(v int) { set |= 1 << v })
	return set
}

func each(ranges []client.ScheduleRange, do func(v int)) {
	for _, r := range ranges {
		for v := r.Start; v <= max(r.End, r.Start); v += max(r.Step, 1) {
			do(v)
		}
	}
}
