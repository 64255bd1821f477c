package quotas_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/quotas"
)

func TestTheSmallerOfBothHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q, err := w.Find(w.ctx, w.tenant)
	must(t, err)
	if q.Platform != nil || q.Tenant != nil || q.Effective.RunsPerDay != nil || *q.Effective.SoftPercent != 80 || *q.Effective.OnExhausted != quotas.Stop {
		t.Fatalf("a tenant of whom nobody has said anything: %+v", q)
	}
	w.allow(t, quotas.Limits{
		ConcurrentRuns: ptr(10), RunsPerDay: ptr(100), TokensPerMonth: ptr(int64(1000)), CostUSDPerMonth: dollars("2.50"),
		SoftPercent: ptr(90), OnExhausted: ptr(quotas.Stop),
	})
	q, err = w.Replace(w.ctx, w.tenant, quotas.Limits{
		ConcurrentRuns: ptr(20), RunsPerDay: ptr(5), HeldRuns: ptr(3), CostUSDPerMonth: dollars("2.4999999999"),
		Schedules: ptr(0), SoftPercent: ptr(70), OnExhausted: ptr(quotas.Pause),
	})
	must(t, err)
	e := q.Effective
	if *e.ConcurrentRuns != 10 || *e.RunsPerDay != 5 || *e.HeldRuns != 3 || *e.TokensPerMonth != 1000 || e.CostUSDPerMonth.String() != "2.4999999999" ||
		e.RequestsPerMinute != nil || *e.Schedules != 0 || *e.SoftPercent != 70 || *e.OnExhausted != quotas.Pause {
		t.Errorf("what holds is %+v", e)
	}
	if q.Platform.UpdatedBy != "test" || *q.Platform.ConcurrentRuns != 10 || *q.Tenant.ConcurrentRuns != 20 || q.Tenant.UpdatedAt.IsZero() {
		t.Errorf("the rows are %+v and %+v", q.Platform, q.Tenant)
	}
	if l, err := w.Limit(w.ctx); err != nil || *l.Schedules != 0 || *l.RunsPerDay != 5 {
		t.Errorf("the limits are %+v, %v", l, err)
	}
	// The database, where runs are admitted, comes to the same.
	var concurrent, day, soft int
	var cost, exhausted string
	must(t, w.conn.QueryRow(t.Context(), `select concurrent_runs, runs_per_day, soft_percent, cost_usd_per_month::text, on_exhausted from lari.quotas_of($1)`, w.tenant).
		Scan(&concurrent, &day, &soft, &cost, &exhausted))
	if concurrent != 10 || day != 5 || soft != 70 || cost != "2.4999999999" || exhausted != "pause" {
		t.Errorf("the database says %d, %d, %d, %s, %s", concurrent, day, soft, cost, exhausted)
	}
	// Replaced is replaced.
	q, err = w.Replace(w.ctx, w.tenant, quotas.Limits{})
	must(t, err)
	if *q.Effective.RunsPerDay != 100 || q.Effective.HeldRuns != nil || *q.Effective.SoftPercent != 90 {
		t.Errorf("after the tenant took its word back: %+v", q.Effective)
	}
}

func TestRefusedLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for field, l := range map[string]quotas.Limits{
		"concurrent_runs":     {ConcurrentRuns: ptr(-1)},
		"held_runs":           {HeldRuns: ptr(1_000_001)},
		"runs_per_day":        {RunsPerDay: ptr(-5)},
		"tokens_per_month":    {TokensPerMonth: ptr(int64(1e15 + 1))},
		"cost_usd_per_month":  {CostUSDPerMonth: dollars("-0.01")},
		"requests_per_minute": {RequestsPerMinute: ptr(0)},
		"schedules":           {Schedules: ptr(-1)},
		"soft_percent":        {SoftPercent: ptr(101)},
		"on_exhausted":        {OnExhausted: ptr(quotas.Exhausted("explode"))},
	} {
		_, err := w.Replace(w.ctx, w.tenant, l)
		wantCode(t, err, fault.Invalid)
		if f := err.(*fault.Error).Fields; len(f) != 1 || f[0].Field != field { //nolint:errorlint // it is made here
			t.Errorf("%s: the fields are %v", field, f)
		}
	}
	for _, cost := range []string{"1000000001", "0.00000000001", "1e300"} {
		_, err := w.Replace(w.ctx, w.tenant, quotas.Limits{CostUSDPerMonth: dollars(cost)})
		wantCode(t, err, fault.Invalid)
	}
	w.allow(t, quotas.Limits{ // the most there is
		ConcurrentRuns: ptr(1_000_000), HeldRuns: ptr(0), RunsPerDay: ptr(1_000_000_000), TokensPerMonth: ptr(int64(1e15)),
		CostUSDPerMonth: dollars("1000000000"), RequestsPerMinute: ptr(1_000_000), Schedules: ptr(1_000_000), SoftPercent: ptr(100),
	})
	if p := w.settle(t, w.run(t), 1, 5, "0.1"); len(p) != 0 {
		t.Errorf("the soft limits %v were passed", p)
	}
	if g := w.reserve(t, tokens(w.run(t), 1, 10)); g.OutputTokens != 10 {
		t.Errorf("the grant is %+v", g)
	}
}

func TestAnotherTenantHasNoQuotas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, other := w.database.Tenant(t, "other")
	for _, tenant := range []uuid.UUID{other, uuid.New(), uuid.Nil} {
		_, err := w.Find(w.ctx, tenant)
		wantCode(t, err, fault.NotFound)
		_, err = w.Replace(w.ctx, tenant, quotas.Limits{})
		wantCode(t, err, fault.NotFound)
		_, err = w.Replace(w.platform(), tenant, quotas.Limits{})
		wantCode(t, err, fault.NotFound)
	}
	w.exec(t, `delete from agents`)
	w.exec(t, `delete from tenants where id = $1`, w.tenant)
	_, err := w.Find(w.ctx, w.tenant)
	wantCode(t, err, fault.NotFound)
	_, err = w.Replace(w.ctx, w.tenant, quotas.Limits{})
	wantCode(t, err, fault.NotFound)
	_, err = w.Replace(w.platform(), w.tenant, quotas.Limits{})
	wantCode(t, err, fault.NotFound)
}

// Not even the service, acting for a tenant, writes what the platform says.
func TestThePlatformsRowIsNotTheTenants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allow(t, quotas.Limits{RunsPerDay: ptr(1)})
	for _, sql := range []string{
		`update tenant_quotas set runs_per_day = 1000 where source = 'platform'`,
		`delete from tenant_quotas where source = 'platform'`,
	} {
		if n, err := w.database.DB.Exec(w.ctx, sql); n != 0 || err != nil {
			t.Errorf("%s reached %d rows (error %v)", sql, n, err)
		}
	}
	_, err := w.database.DB.Exec(w.ctx, `insert into tenant_quotas (tenant_id, source, updated_by, updated_at) values ($1, 'platform', '', now())
		on conflict (tenant_id, source) do update set runs_per_day = null`, w.tenant)
	if err == nil {
		t.Error("a tenant took the platform's limit away")
	}
	_, err = w.Replace(w.ctx, w.tenant, quotas.Limits{RunsPerDay: ptr(2)})
	must(t, err)
	if _, err := w.database.DB.Exec(w.ctx, `update tenant_quotas set source = 'platform'`); err == nil {
		t.Error("a tenant made its own row the platform's")
	}
}
