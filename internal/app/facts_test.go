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
	"github.com/larirun/lari/internal/quotas"
)

// Quotas of tenants that were active are told, each by its own name; one that is gone is passed by.
func TestQuotasOfActiveTenantsAreTold(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	one, _ := db.Tenant(t, "acme")
	two, _ := db.Tenant(t, "globex")
	now := time.Unix(1e9, 0)
	a := &App{DB: db.DB, Metrics: telemetry.New(telemetry.Options{Now: func() time.Time { return now }}), Quotas: quotas.NewService(db.DB), log: slog.New(slog.DiscardHandler)}
	acme, globex, gone := scope.Tenant(one), scope.Tenant(two), uuid.New()
	if _, err := db.DB.Exec(postgres.AsSystem(one), `
		insert into tenant_quotas (tenant_id, source, runs_per_day, cost_usd_per_month, updated_by, updated_at) values ($1, 'platform', 50, 2.5, 'test', now())`, acme); err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []uuid.UUID{acme, globex, gone} {
		a.Metrics.HTTP.Observe(tenant.String(), "/v1/runs", http.MethodGet, 200, time.Millisecond)
	}
	if _, err := a.tellQuotas(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	_, page, err := a.Metrics.Expose(t.Context(), telemetry.Everyone, "")
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{
		`lari_quota_limit{quota="runs_per_day",tenant_id="` + acme.String() + `"} 50`:           true,
		`lari_quota_limit{quota="cost_usd_per_month",tenant_id="` + acme.String() + `"} 2.5`:    true,
		`lari_quota_used{quota="tokens_per_month",tenant_id="` + globex.String() + `"} 0`:       true,
		`lari_quota_limit{quota="tokens_per_month",tenant_id="` + globex.String() + `"}`:        false,
		`lari_quota_used{quota="requests_per_minute",tenant_id="` + gone.String() + `"}`:        false,
		`lari_quota_used{quota="requests_per_minute",tenant_id="` + telemetry.LabelOther + `"}`: false,
	} {
		if strings.Contains(string(page), "\n"+line) != want {
			t.Errorf("%s: want it to be there: %t", line, want)
		}
	}
}
