package quotas_test

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/quotas"
)

// Fifty steps at once, and room for ten: ten times in a row.
func TestARaceOfReservations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := w.database.Open(t, postgres.Config{MaxConns: 16})
	second := quotas.NewService(pool) // another process
	w.allow(t, quotas.Limits{TokensPerMonth: ptr(int64(1000)), CostUSDPerMonth: dollars("100")})
	runs := make([]uuid.UUID, 50)
	for i := range runs {
		runs[i] = w.run(t)
	}
	for round := range 10 {
		var granted, refused atomic.Int32
		var race sync.WaitGroup
		start := make(chan struct{})
		for i, run := range runs {
			race.Go(func() {
				<-start
				service := w.Service
				if i%2 == 1 {
					service = second
				}
				g, err := service.Reserve(w.ctx, quotas.Demand{Run: run, Step: round + 1, InputTokens: 60, OutputTokens: 40, InputCost: *dollars("0.6"), OutputPrice: *dollars("0.01")})
				switch {
				case err != nil:
					t.Error(err)
				case g.Refused == nil && g.OutputTokens == 40:
					granted.Add(1)
				case g.Refused != nil && g.Refused.Quota == quotas.TokensPerMonth:
					refused.Add(1)
				default:
					t.Errorf("the grant is %+v", g)
				}
			})
		}
		close(start)
		race.Wait()
		if granted.Load() != 10 || refused.Load() != 40 {
			t.Fatalf("round %d: %d were granted and %d refused, want 10 and 40", round, granted.Load(), refused.Load())
		}
		w.wantAccount(t, 0, 1000, "0", "10")
		for _, run := range runs { // also those that have nothing
			race.Go(func() {
				for range 2 {
					if err := pool.Batch(w.ctx, second.Free(run)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		race.Wait()
		w.wantAccount(t, 0, 0, "0", "0")
	}
}

// Whatever comes twice counts once.
func TestSettleAndFreeOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allow(t, quotas.Limits{TokensPerMonth: ptr(int64(1000)), CostUSDPerMonth: dollars("5")})
	run, other := w.run(t), w.run(t)
	d := quotas.Demand{Run: run, Step: 1, InputTokens: 100, OutputTokens: 300, InputCost: *dollars("0.1"), OutputPrice: *dollars("0.001")}
	for range 3 { // the attempts of a step
		if g := w.reserve(t, d); g.Refused != nil || g.OutputTokens != 300 {
			t.Fatalf("the grant is %+v", g)
		}
	}
	w.reserve(t, quotas.Demand{Run: other, Step: 1, InputTokens: 50, OutputTokens: 50, InputCost: *dollars("1")})
	w.wantAccount(t, 0, 500, "0", "1.4")
	w.settle(t, run, 1, 150, "0.123")
	w.wantAccount(t, 150, 100, "0.123", "1")
	w.free(t, run)
	w.free(t, run)
	w.wantAccount(t, 150, 100, "0.123", "1")
	w.free(t, other)
	w.free(t, other)
	w.wantAccount(t, 150, 0, "0.123", "0")
	w.settle(t, other, 1, 10, "0") // a record that comes after: what was used is used, nothing is taken back twice
	w.wantAccount(t, 160, 0, "0.123", "0")

	// A run that has ended reserves nothing that nobody would take back.
	w.exec(t, `update agent_runs set status = 'failed', finished_at = now() where id = $1`, run)
	_, err := w.Reserve(w.ctx, d)
	wantCode(t, err, fault.RunFinal)
	w.wantAccount(t, 160, 0, "0.123", "0")
}

func TestAReservationIsShrunkToWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.run(t)
	step := 0
	demand := func(in, out int64, inCost, price string) quotas.Demand {
		step++
		return quotas.Demand{Run: run, Step: step, InputTokens: in, OutputTokens: out, InputCost: *dollars(inCost), OutputPrice: *dollars(price)}
	}
	limits := func(tokens int64, cost string) quotas.Limits {
		l := quotas.Limits{OnExhausted: ptr(quotas.Pause)}
		if tokens >= 0 {
			l.TokensPerMonth = &tokens
		}
		if cost != "" {
			l.CostUSDPerMonth = dollars(cost)
		}
		return l
	}
	for name, test := range map[string]struct {
		limits  quotas.Limits
		demand  quotas.Demand
		want    int64
		refused string
	}{
		"it fits":                        {limits(200, "2"), demand(100, 100, "1", "0.01"), 100, ""},
		"tokens are short":               {limits(199, ""), demand(100, 100, "1", "0.01"), 99, ""},
		"money is short":                 {limits(-1, "1.995"), demand(100, 100, "1", "0.01"), 99, ""},
		"both are":                       {limits(190, "1.5"), demand(100, 100, "1", "0.01"), 50, ""},
		"a word is not worth it":         {limits(115, ""), demand(100, 100, "0", "0"), 0, quotas.TokensPerMonth},
		"but a short answer is":          {limits(116, ""), demand(100, 100, "0", "0"), 16, ""},
		"nor a shorter one asked for":    {limits(103, ""), demand(100, 3, "0", "0"), 3, ""},
		"the input does not fit":         {limits(99, ""), demand(100, 100, "0", "0"), 0, quotas.TokensPerMonth},
		"the input costs too much":       {limits(-1, "0.99"), demand(100, 100, "1", "0.01"), 0, quotas.CostUSDPerMonth},
		"nothing at all":                 {limits(0, "0"), demand(1, 1, "0", "0"), 0, quotas.TokensPerMonth},
		"no money for what is free":      {limits(-1, "0"), demand(100, 100, "0", "0"), 100, ""},
		"the output is nearly free":      {limits(-1, "1000000000"), demand(100, 1_000_000_000, "0", "0.0000000001"), 1_000_000_000, ""},
		"no limit of tokens or of money": {limits(-1, ""), demand(1e9, 1e9, "1", "1"), 1e9, ""},
	} {
		w.allow(t, test.limits)
		g := w.reserve(t, test.demand)
		switch {
		case test.refused == "" && (g.Refused != nil || g.OutputTokens != test.want):
			t.Errorf("%s: the grant is %+v %+v, want %d", name, g, g.Refused, test.want)
		case test.refused != "" && (g.Refused == nil || g.Refused.Quota != test.refused || g.Refused.Then != quotas.Pause ||
			!strings.Contains(g.Refused.Detail, test.refused) || !strings.Contains(g.Refused.Detail, "frees at") || g.Refused.FreesAt.Day() != 1):
			t.Errorf("%s: the grant is %+v %+v, want a refusal by %s", name, g, g.Refused, test.refused)
		}
		w.free(t, run)
		w.wantAccount(t, 0, 0, "0", "0")
	}
}

// The soft limit is passed by one step, and only by that.
func TestTheSoftLimitIsPassedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allow(t, quotas.Limits{TokensPerMonth: ptr(int64(100)), CostUSDPerMonth: dollars("1"), SoftPercent: ptr(50)})
	run := w.run(t)
	for i, step := range []struct {
		tokens int64
		cost   string
		want   []string
	}{
		{49, "0.1", nil},
		{1, "0.3999", []string{"tokens_per_month"}},
		{0, "0", nil},
		{10, "0.0001", []string{"cost_usd_per_month"}},
		{60, "1", nil},
	} {
		if passed := w.settle(t, run, i+1, step.tokens, step.cost); !slices.Equal(passed, step.want) {
			t.Errorf("step %d passed %v, want %v", i+1, passed, step.want)
		}
	}
	q, err := w.Find(w.ctx, w.tenant)
	must(t, err)
	if u := q.Usage.TokensPerMonth; !u.Soft || !u.Exhausted || u.FreesAt == nil || u.Used != 120 {
		t.Errorf("the usage is %+v", u)
	}
	if u := q.Usage.ConcurrentRuns; u.Used != 1 || u.Limit != nil || u.Soft || u.Exhausted {
		t.Errorf("the usage is %+v", u)
	}
	// Of many at once, too.
	w.exec(t, `update quota_usage set tokens = 0, cost_usd = 0`)
	var passed atomic.Int32
	var race sync.WaitGroup
	for i := range 20 {
		race.Go(func() {
			var names []string
			u := w.Settle(w.tenant, run, 100+i, usageOf(5), &names)
			if err := w.database.DB.Batch(w.ctx, u); err != nil {
				t.Error(err)
			}
			passed.Add(int32(len(names))) //nolint:gosec // two at most
		})
	}
	race.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d steps passed the limit", passed.Load())
	}
}

// What was reserved in a month is taken back there, and what was used counts in the month that it is.
func TestAReservationOutlivesItsMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allow(t, quotas.Limits{TokensPerMonth: ptr(int64(1000))})
	run, other := w.run(t), w.run(t)
	w.reserve(t, tokens(run, 1, 300))
	w.reserve(t, tokens(other, 1, 200))
	w.exec(t, `update quota_usage set starts_on = starts_on - 40`)
	w.exec(t, `update quota_reservations set month = month - 40`)
	w.wantAccount(t, 0, 0, "0", "0")
	w.reserve(t, tokens(run, 2, 100))
	w.settle(t, run, 1, 50, "0")
	w.wantAccount(t, 50, 100, "0", "0")
	w.free(t, other)
	w.free(t, run)
	w.wantAccount(t, 50, 0, "0", "0")
	var reserved, used int64
	must(t, w.conn.QueryRow(t.Context(), `select sum(reserved_tokens), min(tokens) from quota_usage`).Scan(&reserved, &used))
	if reserved != 0 || used != 0 {
		t.Errorf("%d are still reserved, %d were used in the old month", reserved, used)
	}
}

func TestWhatIsUsedNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.run(t)
	}
	w.exec(t, `update agent_runs set status = 'queued', held_by = 'delay', held_at = now(), started_at = null where id = (select min(id::text)::uuid from agent_runs)`)
	w.exec(t, `insert into quota_usage (tenant_id, period, starts_on, runs) values ($1, 'day', (now() at time zone 'UTC')::date, 9)`, w.tenant)
	w.exec(t, `insert into quota_usage (tenant_id, period, starts_on, runs) values ($1, 'day', (now() at time zone 'UTC')::date - 1, 7)`, w.tenant)
	q := w.allow(t, quotas.Limits{ConcurrentRuns: ptr(2), HeldRuns: ptr(2), RunsPerDay: ptr(10), RequestsPerMinute: ptr(15)})
	u := q.Usage
	if u.ConcurrentRuns.Used != 2 || !u.ConcurrentRuns.Exhausted || u.ConcurrentRuns.FreesAt != nil ||
		u.HeldRuns.Used != 1 || u.HeldRuns.Soft ||
		u.RunsPerDay.Used != 9 || !u.RunsPerDay.Soft || u.RunsPerDay.Exhausted || u.RunsPerDay.FreesAt == nil ||
		u.RequestsPerMinute.Used != 0 || u.RequestsPerMinute.FreesAt != nil || *u.RequestsPerMinute.Limit != 15 {
		t.Errorf("the usage is %+v", u)
	}
	g, err := w.Lease(w.ctx, w.tenant, 5)
	must(t, err)
	if g.Granted != 1 || g.Burst != 1 || g.Limit != 15 {
		t.Errorf("the lease is %+v", g)
	}
	q, err = w.Find(w.ctx, w.tenant)
	must(t, err)
	if r := q.Usage.RequestsPerMinute; r.Used != 1 || !r.Exhausted || r.FreesAt == nil {
		t.Errorf("the usage is %+v", r)
	}
}

func TestUnlimitedTenantsReserveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allow(t, quotas.Limits{RunsPerDay: ptr(1)})
	var limited bool
	must(t, w.database.DB.Batch(w.ctx, w.Look(w.tenant, &limited)))
	if g := w.reserve(t, tokens(w.run(t), 1, 300)); limited || g.OutputTokens != 300 || g.Refused != nil {
		t.Errorf("limited: %v, the grant is %+v", limited, g)
	}
	w.settle(t, uuid.New(), 1, 20, "0.5") // and yet it is counted
	w.wantAccount(t, 20, 0, "0.5", "0")
	must(t, w.Count(w.ctx, uuid.New(), usageOf(3)))
	w.wantAccount(t, 23, 0, "0.5", "0")
	w.allow(t, quotas.Limits{CostUSDPerMonth: dollars("1")})
	must(t, w.database.DB.Batch(w.ctx, w.Look(w.tenant, &limited)))
	if !limited {
		t.Error("a tenant with a limit of money has none")
	}
}
