package app

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/schedules"
)

// Schedules are counted by state, those of tenants without a label together; what is being made or deleted is none.
func TestSchedulesAreTold(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	one, _ := db.Tenant(t, "acme")
	two, _ := db.Tenant(t, "globex")
	m := telemetry.New(telemetry.Options{})
	a := &App{DB: db.DB, Metrics: m, Schedules: schedules.NewService(schedules.Deps{DB: db.DB, Logger: slog.New(slog.DiscardHandler)})}
	acme := scope.Tenant(one)
	for tenant, rows := range map[uuid.UUID][][2]string{
		acme:              {{"active", "active"}, {"active", "active"}, {"active", "paused"}, {"deleting", "active"}},
		scope.Tenant(two): {{"active", "missing"}, {"creating", "active"}},
	} {
		for _, r := range rows {
			if _, err := db.DB.Exec(postgres.AsSystem(t.Context()), `insert into schedules (id, tenant_id, name, run, state, seen_state, created_by, created_at, updated_at)
				values ($1, $2, 'a', '{}', $3, $4, 'test', now(), now())`, uuid.New(), tenant, r[0], r[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.HTTP.Observe(acme.String(), "/v1/runs", http.MethodGet, 200, time.Millisecond)
	if err := a.tellSchedules(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, page, err := m.Expose(t.Context(), telemetry.Everyone, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "lari_schedules{") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`lari_schedules{state="missing",tenant_id="_other"} 1`,
		`lari_schedules{state="active",tenant_id="` + acme.String() + `"} 2`, `lari_schedules{state="paused",tenant_id="` + acme.String() + `"} 1`,
	}
	for _, line := range want {
		if !strings.Contains(string(page), "\n"+line+"\n") {
			t.Errorf("there is no %s in %v", line, got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the gauge is %v", got)
	}
}
