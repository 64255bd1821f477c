package schedules

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

// Overlap is what becomes of a firing whose time comes while the run of an earlier one goes on.
type Overlap string

// The overlap policies, as Temporal has them.
const (
	OverlapSkip           Overlap = "skip"            // it does not happen
	OverlapBufferOne      Overlap = "buffer_one"      // it waits for the run's end; a second one does not happen
	OverlapBufferAll      Overlap = "buffer_all"      // it waits for its turn
	OverlapCancelOther    Overlap = "cancel_other"    // the run is cancelled first
	OverlapTerminateOther Overlap = "terminate_other" // the run is terminated first
	OverlapAllowAll       Overlap = "allow_all"       // it happens beside the run
)

// Overlaps lists every policy.
func Overlaps() []Overlap {
	return []Overlap{OverlapSkip, OverlapBufferOne, OverlapBufferAll, OverlapCancelOther, OverlapTerminateOther, OverlapAllowAll}
}

// State says whether a schedule fires.
type State string

// The states of a schedule.
const (
	Active  State = "active"
	Paused  State = "paused"
	Ended   State = "ended"   // it has no firing time left
	Missing State = "missing" // Temporal does not know it any more
)

// Policy is what a schedule does beside firing when its time comes.
type Policy struct {
	Overlap        Overlap
	CatchUp        time.Duration // how late a firing may be when the platform was away
	PauseOnFailure bool
}

// defaultCatchUp is short: after an outage a platform should not fire what nobody waits for any more.
const defaultCatchUp = time.Minute

// Template is what a schedule's runs are made of.
type Template struct {
	Agent          string                     `json:"agent,omitempty" validate:"omitempty,max=64" description:"Id or slug of the agent, in the version of the firing's time." default:"assistant" example:"assistant"`
	Input          string                     `json:"input,omitempty" validate:"max=200000" description:"What the user says. Either this or messages." example:"Write the report of the day."`
	Messages       []TemplateMessage          `json:"messages,omitempty" validate:"max=200,dive" description:"A conversation to begin with. Either this or input."`
	ThreadID       *uuid.UUID                 `json:"thread_id,omitempty" description:"Thread that each run continues. A firing that finds another run on it is refused."`
	WorkspaceID    *uuid.UUID                 `json:"workspace_id,omitempty" description:"Workspace that the runs belong to."`
	Metadata       map[string]json.RawMessage `json:"metadata,omitempty" description:"Given to each run; up to 16 KiB of JSON."`
	TimeoutSeconds *int                       `json:"timeout_seconds,omitempty" validate:"omitempty,min=1,max=86400" description:"Time limit of a run. Default: the agent's."`
	Budget         *RunBudget                 `json:"budget,omitempty" description:"Limits of a run. Default: the agent's."`
	WebhookURL     string                     `json:"webhook_url,omitempty" validate:"max=2048" permission:"run:read" description:"Is told how each run ended."`
}

// TemplateMessage is one message that a run begins with.
type TemplateMessage struct {
	Role    string `json:"role" validate:"required,oneof=user assistant" enum:"user,assistant"`
	Content string `json:"content" validate:"required,max=200000" maxLength:"200000"`
}

// RunBudget bounds what a run may consume.
type RunBudget struct {
	MaxTokens  *int64  `json:"max_tokens,omitempty" validate:"omitempty,min=1,max=1000000000" description:"Input and output tokens together."`
	MaxCostUSD *string `json:"max_cost_usd,omitempty" validate:"omitempty,max=24" description:"Decimal US dollars." example:"0.50"`
	MaxSteps   *int    `json:"max_steps,omitempty" validate:"omitempty,min=1,max=100" description:"Turns of think and act."`
}

// NewSchedule is a request to run an agent by the clock.
type NewSchedule struct {
	ID                   uuid.UUID `json:"-"` // chosen by the caller, for idempotency; zero: a new one
	Name                 string    `json:"name" validate:"required,max=200" example:"Daily report"`
	Spec                 Spec      `json:"spec" validate:"required" description:"When it fires."`
	Overlap              Overlap   `json:"overlap,omitempty" validate:"omitempty,oneof=skip buffer_one buffer_all cancel_other terminate_other allow_all" enum:"skip,buffer_one,buffer_all,cancel_other,terminate_other,allow_all" default:"skip" description:"What becomes of a firing while the run of an earlier one goes on: it does not happen, one of them waits, all of them wait, the run is cancelled or terminated first, or both go on."`
	CatchupWindowSeconds *int      `json:"catchup_window_seconds,omitempty" validate:"omitempty,min=10,max=31536000" default:"60" description:"How late a firing may be when the platform was away; a later one is missed."`
	PauseOnFailure       bool      `json:"pause_on_failure,omitempty" description:"Pause when a run fails or a firing is refused. With the overlap allow_all nothing is watched, and nothing pauses."`
	Paused               bool      `json:"paused,omitempty" description:"Make it paused."`
	Run                  Template  `json:"run" validate:"required" description:"What its runs are made of."`
}

// Update is a change of a schedule; what is absent stays.
type Update struct {
	Name                 *string   `json:"name,omitempty" validate:"omitempty,min=1,max=200"`
	Spec                 *Spec     `json:"spec,omitempty" description:"All of it. Firing times that were skipped and are still times of the new one stay skipped."`
	Overlap              Overlap   `json:"overlap,omitempty" validate:"omitempty,oneof=skip buffer_one buffer_all cancel_other terminate_other allow_all" enum:"skip,buffer_one,buffer_all,cancel_other,terminate_other,allow_all"`
	CatchupWindowSeconds *int      `json:"catchup_window_seconds,omitempty" validate:"omitempty,min=10,max=31536000"`
	PauseOnFailure       *bool     `json:"pause_on_failure,omitempty"`
	Run                  *Template `json:"run,omitempty" description:"All of it."`
}

// FiringCounts is what Temporal has counted since the schedule was made.
type FiringCounts struct {
	Started        int `json:"started" required:"true"`
	SkippedOverlap int `json:"skipped_overlap" required:"true" description:"Did not happen because a run went on."`
	Missed         int `json:"missed" required:"true" description:"Did not happen because the platform was away for longer than the catch-up window."`
}

// Schedule is a schedule as its tenant sees it.
type Schedule struct {
	ID                   uuid.UUID    `json:"id" required:"true"`
	TenantID             uuid.UUID    `json:"tenant_id" required:"true"`
	Name                 string       `json:"name" required:"true"`
	State                State        `json:"state" required:"true" enum:"active,paused,ended,missing" description:"ended: no firing time is left. missing: Temporal does not know the schedule, because it was deleted there or ended more than a week ago; a change of its spec makes it anew."`
	Note                 string       `json:"note" required:"true" description:"Of the last pause or resumption, by whoever or whatever did it."`
	Spec                 Spec         `json:"spec" required:"true"`
	Overlap              Overlap      `json:"overlap,omitempty" enum:"skip,buffer_one,buffer_all,cancel_other,terminate_other,allow_all" description:"Absent when Temporal does not know the schedule."`
	CatchupWindowSeconds int          `json:"catchup_window_seconds" required:"true"`
	PauseOnFailure       bool         `json:"pause_on_failure" required:"true"`
	Run                  Template     `json:"run" required:"true"`
	NextFirings          []clock.Time `json:"next_firings" required:"true" nullable:"false" description:"The next ones, jitter included; none while it is paused."`
	Skipped              []clock.Time `json:"skipped" required:"true" nullable:"false" description:"Firing times to come that are left out on request."`
	Firings              FiringCounts `json:"firings" required:"true"`
	CreatedBy            string       `json:"created_by" required:"true"`
	CreatedAt            clock.Time   `json:"created_at" required:"true"`
	UpdatedAt            clock.Time   `json:"updated_at" required:"true"`
}

// Location is where the schedule is found.
func (s Schedule) Location() string { return "/v1/schedules/" + s.ID.String() }

// shownFirings is how many firings a schedule shows.
const shownFirings = 5

// view joins the row and what Temporal holds.
func (r row) view(h Held, found bool, now time.Time) Schedule {
	s := Schedule{
		ID: r.id, TenantID: r.tenant, Name: r.name, State: Missing, Run: r.run, NextFirings: []clock.Time{}, Skipped: []clock.Time{},
		CreatedBy: r.createdBy, CreatedAt: r.createdAt, UpdatedAt: r.updatedAt,
	}
	if !found {
		return s
	}
	s.Note, s.Spec, s.Firings = h.Note, h.Plan.spec(), h.Counts
	s.Overlap, s.CatchupWindowSeconds, s.PauseOnFailure = h.Policy.Overlap, int(h.Policy.CatchUp/time.Second), h.Policy.PauseOnFailure
	for _, t := range h.Next[:min(len(h.Next), shownFirings)] {
		s.NextFirings = append(s.NextFirings, clock.At(t))
	}
	for _, t := range h.Plan.Skipped(now) {
		s.Skipped = append(s.Skipped, clock.At(t))
	}
	if s.State = h.state(found, now); s.State == Paused {
		s.NextFirings = []clock.Time{}
	}
	return s
}

func (h Held) state(found bool, now time.Time) State {
	switch {
	case !found:
		return Missing
	case h.Paused:
		return Paused
	case len(h.Plan.Next(now, 1)) == 0:
		return Ended
	}
	return Active
}
