package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/larirun/lari/internal/engine"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/schedules"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// specs makes specs up: any expression that the parser takes, in zones whose clocks jump in different ways.
type specs struct{ *rand.Rand }

func (s specs) field(low, high int, names ...string) string {
	one := func() string {
		v := low + s.IntN(high-low+1)
		if names != nil && s.IntN(3) == 0 {
			return names[s.IntN(len(names))]
		}
		return fmt.Sprint(v)
	}
	item := func() string {
		switch s.IntN(6) {
		case 0:
			return "*"
		case 1:
			return fmt.Sprintf("*/%d", 1+s.IntN(high))
		case 2:
			from := low + s.IntN(high-low+1)
			return fmt.Sprintf("%d-%d/%d", from, from+s.IntN(high-from+1), 1+s.IntN(high))
		case 3:
			from := low + s.IntN(high-low+1)
			return fmt.Sprintf("%d-%d", from, from+s.IntN(high-from+1))
		}
		return one()
	}
	items := []string{item()}
	for s.IntN(3) == 0 {
		items = append(items, item())
	}
	return strings.Join(items, ",")
}

func (s specs) spec() schedules.Spec {
	zones := []string{
		"UTC", "Europe/Berlin", "America/New_York", "Asia/Jakarta", "Asia/Kolkata", "America/Santiago", "America/Havana", "Africa/Cairo",
		"America/St_Johns", "Australia/Sydney", "Pacific/Auckland", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll",
	}
	spec := schedules.Spec{TimeZone: zones[s.IntN(len(zones))]}
	for range 1 + s.IntN(2) {
		spec.Cron = append(spec.Cron, strings.Join([]string{
			s.field(0, 59), s.field(0, 23), s.field(1, 31),
			s.field(1, 12, "jan", "Feb", "jun", "DEC"), s.field(0, 7, "sun", "Mon", "fri", "SAT"),
		}, " "))
	}
	if s.IntN(4) == 0 {
		every := 60 + s.IntN(100_000)
		spec.Every = append(spec.Every, schedules.Every{EverySeconds: every, OffsetSeconds: s.IntN(every)})
	}
	return spec
}

// What this program says of a spec is what Temporal does with its entries: for specs of every kind, in summer and in
// winter, around each change of the clocks.
func TestPlansAreWhatTemporalDoes(t *testing.T) {
	t.Parallel()
	e, s := newEngine(t)
	random := specs{rand.New(rand.NewPCG(20261125, 4))} //nolint:gosec // the same specs each time
	tenant := uuid.New()
	var group errgroup.Group
	group.SetLimit(4)
	for n := 0; n < 200; {
		spec := random.spec()
		at := time.Unix(1_767_225_600+random.Int64N(4*365*86400), 0) // 2026 to 2029
		plan, err := spec.Compile(schedules.Rules{}, at)
		if fault.Is(err, fault.Invalid) {
			continue // it never fires
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		d := schedules.Definition{TenantID: tenant, ID: uuid.New(), Name: "x", Paused: true, Note: "of the test", Policy: schedules.Policy{
			Overlap: schedules.OverlapBufferOne, CatchUp: time.Minute, PauseOnFailure: true,
		}}
		group.Go(func() error { return compare(t, e, s, d, plan, spec, at) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, e *engine.Engine, s *harness.System, d schedules.Definition, plan schedules.Plan, spec schedules.Spec, from time.Time) error {
	d.Entries = plan.Entries(schedules.Coverage{From: from.Year(), To: from.Year() + 2})
	err := e.CreateSchedule(t.Context(), d)
	for range 5 {
		if fault.Is(err, fault.Unavailable) { // a namespace that is new is known everywhere after a moment
			err = e.CreateSchedule(t.Context(), d)
		}
	}
	if err != nil {
		return fmt.Errorf("%+v: Temporal does not take it: %w", spec, err)
	}
	for _, span := range []time.Duration{24 * time.Hour, 500 * 24 * time.Hour} {
		to := from.Add(span)
		want, err := s.Temporal.WorkflowService().ListScheduleMatchingTimes(t.Context(), &workflowservice.ListScheduleMatchingTimesRequest{
			Namespace: s.Config.Temporal.Namespace, ScheduleId: workflows.ScheduleID(d.TenantID, d.ID),
			StartTime: timestamppb.New(from), EndTime: timestamppb.New(to),
		})
		if err != nil {
			return err
		}
		got := plan.Between(from.Add(time.Second), to, len(want.GetStartTime())+1)
		if len(want.GetStartTime()) == 1000 {
			got = got[:min(len(got), 1000)]
		}
		if len(got) != len(want.GetStartTime()) {
			return fmt.Errorf("%+v from %s: %d times within %s, Temporal has %d", spec, from, len(got), span, len(want.GetStartTime()))
		}
		for i, at := range want.GetStartTime() {
			if !got[i].Equal(at.AsTime()) {
				return fmt.Errorf("%+v from %s: time %d is %s, Temporal's is %s", spec, from, i, got[i].In(plan.Zone), at.AsTime().In(plan.Zone))
			}
		}
	}
	held, found, err := e.FindSchedule(t.Context(), d.TenantID, d.ID)
	if err != nil || !found || held.Policy != d.Policy || !held.Paused || held.Note != d.Note {
		return fmt.Errorf("%+v: Temporal holds %+v (found %v, error %w)", spec, held, found, err)
	}
	if got, want := fmt.Sprint(held.Plan.Calendars, held.Plan.Intervals, held.Plan.Zone), fmt.Sprint(plan.Calendars, plan.Intervals, plan.Zone); got != want {
		return fmt.Errorf("%+v comes back as %s, was %s", spec, got, want)
	}
	return e.DeleteSchedule(t.Context(), d.TenantID, d.ID)
}
