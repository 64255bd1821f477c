package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/agents"
	domain "github.com/larirun/lari/internal/schedules"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

// fiftyZones are zones whose clocks change in 2026 in different ways: by one hour, two and a half of one, at midnight
// and at other times, in both hemispheres and for Ramadan.
func fiftyZones() []string {
	return strings.Fields(`
		Africa/Cairo Africa/Casablanca Africa/Ceuta Africa/El_Aaiun America/Adak America/Anchorage America/Chicago America/Denver
		America/Edmonton America/Goose_Bay America/Halifax America/Havana America/Los_Angeles America/Mexico_City America/Miquelon
		America/New_York America/Nuuk America/Port-au-Prince America/Santiago America/Scoresbysund America/St_Johns America/Thule
		America/Tijuana America/Toronto America/Winnipeg Antarctica/Macquarie Antarctica/McMurdo Antarctica/Troll Asia/Beirut Asia/Famagusta
		Asia/Gaza Asia/Hebron Asia/Jerusalem Asia/Nicosia Atlantic/Azores Atlantic/Bermuda Atlantic/Canary Atlantic/Madeira
		Australia/Adelaide Australia/Hobart Australia/Lord_Howe Australia/Sydney Europe/Athens Europe/Berlin Europe/Chisinau Europe/Dublin
		Europe/Lisbon Europe/London Pacific/Auckland Pacific/Chatham Pacific/Easter Pacific/Norfolk`)
}

// changesOf2026 finds the changes of a clock up to now.
func changesOf2026(zone *time.Location) (all []time.Time) {
	_, before := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).In(zone).Zone()
	for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(time.Now().Add(-24 * time.Hour)); at = at.Add(15 * time.Minute) {
		if _, offset := at.In(zone).Zone(); offset != before {
			all, before = append(all, at), offset
		}
	}
	return all
}

// documentedTimes are the firing times of "35 * * * *", "5,20 0-3 * * *" and "50 23 * * *" in a span, as docs/schedules.md
// has them.
func documentedTimes(zone *time.Location, from, to time.Time) (times []time.Time) {
	shown := map[string]bool{}
	for at := from.Add(-24 * time.Hour); !at.After(to); at = at.Add(time.Minute) {
		local := at.In(zone)
		h, m, _ := local.Clock()
		reading := local.Format("0102 15:04")
		fixed := h <= 3 && (m == 5 || m == 20) || h == 23 && m == 50
		if !at.Before(from) && (m == 35 || fixed && !shown[reading]) {
			times = append(times, at)
		}
		shown[reading] = true
	}
	return times
}

// In fifty zones, around each change of the clocks: what the documentation says, what the preview shows and what a real
// Temporal fires are the same.
func TestSchedules_FireAsDocumentedInFiftyZones(t *testing.T) {
	t.Parallel()
	s, p, _ := scheduling(t)
	const spec = `{"cron": ["35 * * * *", "5,20 0-3 * * *", "50 23 * * *"], "time_zone": %q}`
	zones, changes := fiftyZones(), make(chan int, 100)
	tenants := make([]*harness.Tenant, 6)
	for i := range tenants { // new runs are refused: what reaches the platform is on record, and that is enough
		tenants[i] = p.NewTenant(t, agents.Config{})
		_, err := s.Database.Conn(t).Exec(t.Context(), `insert into daemon_states (tenant_id, state, new_runs, reason, changed_by, changed_at)
			values ($1, 'paused', 'refuse', 'only the times count', 'test', now())`, tenants[i].ID)
		must(t, err)
	}
	group := errgroup.Group{}
	group.SetLimit(len(tenants))
	for i, name := range zones {
		group.Go(func() error {
			zone, err := time.LoadLocation(name)
			if err != nil {
				return err
			}
			x := tenants[i%len(tenants)]
			made := createSchedule(t, x, `"overlap": "allow_all", "spec": `+spec, name)
			all := changesOf2026(zone)
			changes <- len(all)
			for _, change := range all {
				from, to := change.Add(-150*time.Minute), change.Add(150*time.Minute)
				want := documentedTimes(zone, from, to)
				var preview struct{ Items []struct{ At time.Time } }
				body := fmt.Sprintf(`{"spec": `+spec+`, "from": %q, "count": %d}`, name, from.UTC().Format(time.RFC3339), len(want))
				askSchedule(t, x, "POST", "/v1/schedules/preview", body).Want(t, 200, &preview)
				var previewed, fired []time.Time
				for _, e := range preview.Items {
					previewed = append(previewed, e.At)
				}
				span := fmt.Sprintf(`{"start": %q, "end": %q, "overlap": "allow_all"}`, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
				var asked struct{ Firings int }
				askSchedule(t, x, "POST", schedulePath(made.ID, "/backfill"), span).Want(t, 202, &asked)
				query := fmt.Sprintf("/firings?from=%s&to=%s", from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
				harness.Eventually(t, 4*within, "the backfill of "+name+" is done", func() bool {
					var line timeline
					askSchedule(t, x, "GET", schedulePath(made.ID, query), nil).Want(t, 200, &line)
					fired = nil
					for _, e := range line.Items {
						if e.Kind == "backfill" && e.Result == "refused" && e.Code == "paused" {
							fired = append(fired, e.At)
						}
					}
					return len(fired) >= len(want)
				})
				if !slices.EqualFunc(previewed, want, time.Time.Equal) || !slices.EqualFunc(fired, want, time.Time.Equal) || asked.Firings != len(want) {
					t.Errorf("%s around %s: documented are\n%v, previewed\n%v, fired (%d were asked for)\n%v", name, change.In(zone), want, previewed, asked.Firings, fired)
				}
			}
			return nil
		})
	}
	must(t, group.Wait())
	close(changes)
	total := 0
	for n := range changes {
		total += n
	}
	if len(zones) < 50 || total < 90 {
		t.Errorf("only %d changes in %d zones were compared", total, len(zones))
	}
	t.Logf("%d changes of the clocks in %d zones", total, len(zones))
}

// A schedule that an earlier version made holds its expression as one calendar, which Temporal reads in its own way. The
// watcher renews it; nothing else of it changes, and what it will do is what is shown.
func TestSchedules_OfEarlierVersions_AreRenewed(t *testing.T) {
	t.Parallel()
	s, p, x := scheduling(t)
	made := createSchedule(t, x, `"paused": true, "catchup_window_seconds": 77, "spec": {"cron": ["*/5 * * * *"], "time_zone": "Europe/Berlin", "jitter_seconds": 5}`)
	handle := s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID(x.ID, made.ID))
	must(t, p.App.Schedules.Engine.RenewSchedule(t.Context(), x.ID, made.ID, func(h domain.Held) (domain.Entries, bool) {
		return domain.Entries{Calendars: h.Plan.Calendars, Zone: h.Plan.Zone}, true // as it was made before
	}))
	calendars := func() (calendars, intervals int) {
		d, err := handle.Describe(t.Context())
		must(t, err)
		if d.Schedule.Policy.CatchupWindow != 77*time.Second || !d.Schedule.State.Paused || d.Schedule.Spec.Jitter != 5*time.Second {
			t.Errorf("the renewal has changed more: %+v", d.Schedule)
		}
		return len(d.Schedule.Spec.Calendars), len(d.Schedule.Spec.Intervals)
	}
	if c, i := calendars(); c != 1 || i != 0 {
		t.Fatalf("it begins with %d calendars and %d intervals", c, i)
	}
	for range 2 {
		must(t, p.App.Schedules.Watch(t.Context(), 0))
		if c, i := calendars(); c < 10 || i < 100 {
			t.Errorf("renewed it has %d calendars and %d intervals", c, i)
		}
	}
	if seen := findSchedule(t, x, made.ID); len(seen.Spec.Cron) != 1 || seen.Spec.Cron[0] != "*/5 * * * *" || len(seen.Spec.Every) != 0 || seen.State != "paused" {
		t.Errorf("it is shown as %+v", seen)
	}
	// Nothing is said of a past in which it did not fire as it would now.
	from := "2026-10-25T00:00:00Z"
	_, err := s.Database.Conn(t).Exec(t.Context(), `update schedules set created_at = $2 where id = $1`, made.ID, from)
	must(t, err)
	_, err = s.Database.Conn(t).Exec(t.Context(), `update schedule_changes set changed_at = $2 where schedule_id = $1 and kind = 'created'`, made.ID, from)
	must(t, err)
	must(t, p.App.Schedules.Engine.RenewSchedule(t.Context(), x.ID, made.ID, func(h domain.Held) (domain.Entries, bool) {
		return domain.Entries{Calendars: h.Plan.Calendars, Zone: h.Plan.Zone}, true
	}))
	must(t, p.App.Schedules.Watch(t.Context(), 0))
	var line timeline
	askSchedule(t, x, "GET", schedulePath(made.ID, "/firings?to=2026-10-25T02:00:00Z&from="+from), nil).Want(t, 200, &line)
	if len(line.Items) != 0 || time.Since(line.KnownFrom) > time.Hour {
		t.Errorf("of its past it says %+v", line)
	}
}

// An operator's change in Temporal at the same time as a renewal stands.
func TestSchedules_RenewalGivesWayToOtherChanges(t *testing.T) {
	t.Parallel()
	s, p, x := scheduling(t)
	made := createSchedule(t, x, `"spec": {"cron": ["30 2 * * *"], "time_zone": "Europe/Berlin"}`)
	handle := s.Temporal.ScheduleClient().GetHandle(t.Context(), workflows.ScheduleID(x.ID, made.ID))
	must(t, p.App.Schedules.Engine.RenewSchedule(t.Context(), x.ID, made.ID, func(h domain.Held) (domain.Entries, bool) {
		askSchedule(t, x, "PATCH", schedulePath(made.ID, ""), `{"spec": {"cron": ["45 2 * * *"], "time_zone": "Europe/Berlin"}}`).Want(t, 200)
		return domain.Entries{Calendars: h.Plan.Calendars, Zone: h.Plan.Zone}, true
	}))
	d, err := handle.Describe(t.Context())
	must(t, err)
	if seen := findSchedule(t, x, made.ID); seen.Spec.Cron[0] != "45 2 * * *" || len(d.Schedule.Spec.Calendars) < 5 {
		t.Errorf("it is %+v", seen.Spec)
	}
}

// A backfill of years that the entries do not cover has them cover these years.
func TestBackfill_OfOtherYears_FiresAsDocumented(t *testing.T) {
	t.Parallel()
	_, _, x := scheduling(t)
	made := createSchedule(t, x, `"overlap": "allow_all", "spec": {"cron": ["*/20 * * * *"], "time_zone": "Europe/Berlin"}`)
	span := `{"start": "2019-10-27T00:00:00Z", "end": "2019-10-27T02:00:00Z", "overlap": "allow_all"}`
	var asked struct{ Firings int }
	askSchedule(t, x, "POST", schedulePath(made.ID, "/backfill"), span).Want(t, 202, &asked)
	if asked.Firings != 7 {
		t.Errorf("%d firings were asked for", asked.Firings)
	}
	harness.Eventually(t, within, "there are runs", func() bool { return len(runsOf(t, x, made.ID)) >= 7 })
	var line timeline
	askSchedule(t, x, "GET", schedulePath(made.ID, "/firings?from=2019-10-27T00:00:00Z&to=2019-10-27T02:00:00Z"), nil).Want(t, 200, &line)
	if fired := line.fired(); len(fired) != 7 || fired[6].At.Sub(fired[0].At) != 2*time.Hour {
		t.Errorf("fired are %+v", fired)
	}
	old := `{"start": "2009-10-25T00:00:00Z", "end": "2009-10-25T02:00:00Z"}`
	if p := askSchedule(t, x, "POST", schedulePath(made.ID, "/backfill"), old).WantProblem(t, 422, "validation_failed"); p.Errors[0].Field != "start" {
		t.Errorf("a backfill of long ago: %+v", p)
	}
}
