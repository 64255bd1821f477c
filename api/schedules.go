package api

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/schedules"
)

const tagSchedules = "schedules"

// ScheduleRoutes is the family of what runs by the clock.
func ScheduleRoutes(service *schedules.Service) []Route {
	h := scheduleHandlers{service}
	return []Route{
		Handle("POST", "/v1/schedules", auth.AgentManage, Meta{
			ID: "createSchedule", Tag: tagSchedules, Summary: "Create a schedule", Status: 201, Creates: true,
			Needs: []auth.Permission{auth.RunCreate},
			Description: "Each firing is an ordinary run, with `schedule_id`: quotas, limits, webhooks and the audit trail apply to it.",
		}, h.create),
		Handle("GET", "/v1/schedules", auth.AgentManage, Meta{ID: "listSchedules", Tag: tagSchedules, Summary: "List schedules, newest first"}, h.list),
		Handle("POST", "/v1/schedules/preview", auth.AgentManage, Meta{
			ID: "previewSchedule", Tag: tagSchedules, Summary: "Preview a spec",
			Description: "Checks a spec and gives the firings that a schedule of it would have. Nothing is made.",
		}, h.preview),
		Handle("GET", "/v1/schedules/{schedule_id}", auth.AgentManage, Meta{ID: "getSchedule", Tag: tagSchedules, Summary: "Get a schedule"}, h.get),
		Handle("PATCH", "/v1/schedules/{schedule_id}", auth.AgentManage, Meta{
			ID: "updateSchedule", Tag: tagSchedules, Summary: "Change a schedule",
			Needs: []auth.Permission{auth.RunCreate},
			Description: "Holds for firings from now on. Runs that go on stay as they are.",
		}, h.update),
		Handle("DELETE", "/v1/schedules/{schedule_id}", auth.AgentManage, Meta{
			ID: "deleteSchedule", Tag: tagSchedules, Summary: "Delete a schedule", Description: "Its runs stay, and those that go on do so. Its timeline is gone.",
		}, h.delete),
		Handle("POST", "/v1/schedules/{schedule_id}/pause", auth.AgentManage, Meta{
			ID: "pauseSchedule", Tag: tagSchedules, Summary: "Pause a schedule", Description: "Firing times that pass meanwhile are not made up for; a backfill can do that.",
		}, h.pause),
		Handle("POST", "/v1/schedules/{schedule_id}/resume", auth.AgentManage, Meta{
			ID: "resumeSchedule", Tag: tagSchedules, Summary: "Resume a schedule",
			Needs: []auth.Permission{auth.RunCreate},
		}, h.resume),
		Handle("POST", "/v1/schedules/{schedule_id}/trigger", auth.AgentManage, Meta{
			ID: "triggerSchedule", Tag: tagSchedules, Summary: "Fire now", Status: 202, Description: "Also fires a paused schedule. The timeline shows what became of it, under the time that is answered.",
			Needs: []auth.Permission{auth.RunCreate},
		}, h.trigger),
		Handle("POST", "/v1/schedules/{schedule_id}/backfill", auth.AgentManage, Meta{
			ID: "backfillSchedule", Tag: tagSchedules, Summary: "Fire for a span of the past", Status: 202,
			Needs: []auth.Permission{auth.RunCreate},
			Description: "Fires for each firing time of the span, at most 1,000, whether or not there was a firing then.",
		}, h.backfill),
		Handle("POST", "/v1/schedules/{schedule_id}/skip", auth.AgentManage, Meta{
			ID: "skipFiring", Tag: tagSchedules, Summary: "Leave out one firing to come",
		}, h.skip),
		Handle("GET", "/v1/schedules/{schedule_id}/next", auth.AgentManage, Meta{
			ID: "listNextFirings", Tag: tagSchedules, Summary: "List firings to come", Description: "What is skipped is left out; a pause is not considered. A schedule that is missing has none.",
		}, h.next),
		Handle("GET", "/v1/schedules/{schedule_id}/firings", auth.AgentManage, Meta{
			ID: "listFirings", Tag: tagSchedules, Summary: "Timeline of a schedule",
			Description: "What became of each firing time of a span, and why it did not happen if it did not. At most 1,000 at once; they are known for 90 days.",
		}, h.firings),
	}
}

type scheduleHandlers struct{ service *schedules.Service }

func (h scheduleHandlers) create(ctx context.Context, in *schedules.NewSchedule) (schedules.Schedule, error) {
	if id, ok := idempotency.ResourceID(ctx); ok {
		in.ID = id
	}
	return h.service.Create(ctx, *in)
}

func (h scheduleHandlers) list(ctx context.Context, in *page.Request) (page.Page[schedules.Schedule], error) {
	return h.service.FindAll(ctx, *in)
}

type schedulePath struct {
	ScheduleID uuid.UUID `path:"schedule_id" description:"The schedule."`
}

func (h scheduleHandlers) get(ctx context.Context, in *schedulePath) (schedules.Schedule, error) {
	return h.service.Find(ctx, in.ScheduleID)
}

type updateSchedule struct {
	schedulePath
	schedules.Update
}

func (h scheduleHandlers) update(ctx context.Context, in *updateSchedule) (schedules.Schedule, error) {
	return h.service.Update(ctx, in.ScheduleID, in.Update)
}

func (h scheduleHandlers) delete(ctx context.Context, in *schedulePath) (None, error) {
	return None{}, h.service.Delete(ctx, in.ScheduleID)
}

type noteSchedule struct {
	schedulePath
	Note string `json:"note,omitempty" validate:"max=500" description:"Why. Absent: who." example:"The source is being migrated."`
}

func (h scheduleHandlers) pause(ctx context.Context, in *noteSchedule) (schedules.Schedule, error) {
	return h.service.Pause(ctx, in.ScheduleID, in.Note)
}

func (h scheduleHandlers) resume(ctx context.Context, in *noteSchedule) (schedules.Schedule, error) {
	return h.service.Resume(ctx, in.ScheduleID, in.Note)
}

type triggerSchedule struct {
	schedulePath
	Overlap schedules.Overlap `json:"overlap,omitempty" validate:"omitempty,oneof=skip buffer_one buffer_all cancel_other terminate_other allow_all" enum:"skip,buffer_one,buffer_all,cancel_other,terminate_other,allow_all" description:"Instead of the schedule's own policy."`
}

func (h scheduleHandlers) trigger(ctx context.Context, in *triggerSchedule) (schedules.Triggered, error) {
	return h.service.Trigger(ctx, in.ScheduleID, in.Overlap)
}

type backfillSchedule struct {
	schedulePath
	schedules.Backfill
}

func (h scheduleHandlers) backfill(ctx context.Context, in *backfillSchedule) (schedules.Backfilled, error) {
	return h.service.Backfill(ctx, in.ScheduleID, in.Backfill)
}

type skipFiring struct {
	schedulePath
	At clock.Time `json:"at" validate:"required" description:"The firing's nominal time, as the list of firings to come has it."`
}

func (h scheduleHandlers) skip(ctx context.Context, in *skipFiring) (schedules.Schedule, error) {
	return h.service.Skip(ctx, in.ScheduleID, in.At.Time)
}

type nextFirings struct {
	schedulePath
	Count int        `query:"count" json:"-" validate:"min=1,max=100" minimum:"1" maximum:"100" default:"10" description:"How many at most."`
	From  *time.Time `query:"from" json:"-" description:"From this time on. Default: now."`
}

func (h scheduleHandlers) next(ctx context.Context, in *nextFirings) (schedules.FiringPreview, error) {
	return h.service.Next(ctx, in.ScheduleID, schedules.Ahead{From: in.From, Count: in.Count})
}

type previewSchedule struct {
	Spec  schedules.Spec `json:"spec" validate:"required" description:"When it would fire."`
	Count *int           `json:"count,omitempty" validate:"omitempty,min=1,max=100" default:"10" description:"How many firings at most."`
	From  *clock.Time    `json:"from,omitempty" description:"From this time on. Default: now."`
}

func (h scheduleHandlers) preview(ctx context.Context, in *previewSchedule) (schedules.FiringPreview, error) {
	ahead := schedules.Ahead{Count: 10}
	if in.Count != nil {
		ahead.Count = *in.Count
	}
	if in.From != nil {
		ahead.From = &in.From.Time
	}
	return h.service.Preview(ctx, in.Spec, ahead)
}

type listFirings struct {
	schedulePath
	From   *time.Time `query:"from" description:"From this time on. Default: 24 hours before to. Not together with cursor."`
	To     *time.Time `query:"to" description:"Up to and with this time. Default: now. What is to come is pending."`
	Cursor string     `query:"cursor" description:"next_cursor of the page before; absent: the first page. Repeat to with it."`
	Limit  int        `query:"limit" validate:"min=1,max=1000" minimum:"1" maximum:"1000" default:"1000" description:"How many at most."`
}

func (h scheduleHandlers) firings(ctx context.Context, in *listFirings) (schedules.Timeline, error) {
	from := in.From
	if in.Cursor != "" {
		if from != nil {
			return schedules.Timeline{}, fault.InvalidField("from", "excluded_with", "must not be given together with cursor")
		}
		next, err := page.DecodeTime(in.Cursor)
		if err != nil {
			return schedules.Timeline{}, err
		}
		from = &next
	}
	return h.service.Timeline(ctx, in.ScheduleID, from, in.To, in.Limit)
}
