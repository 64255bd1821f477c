package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/quotas"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
)

// quotasOf is what tests look at of a tenant's quotas.
type quotasOf struct {
	Platform  *struct{ RunsPerDay *int }  `json:"platform"`
	Tenant    *struct{ UpdatedBy string } `json:"tenant"`
	Effective struct {
		RequestsPerMinute *int    `json:"requests_per_minute"`
		CostUSDPerMonth   *string `json:"cost_usd_per_month"`
		OnExhausted       string  `json:"on_exhausted"`
	} `json:"effective"`
	Usage struct {
		Tokens struct {
			Limit          *int64
			Used, Reserved int64
			Soft           bool `json:"soft_limit_passed"`
		} `json:"tokens_per_month"`
		Cost struct{ Used, Reserved decimal.Decimal } `json:"cost_usd_per_month"`
	} `json:"usage"`
}

func quotaPath(x *harness.Tenant) string { return "/v1/tenants/" + x.ID.String() + "/quotas" }

// allow sets the tenant's own limits.
func allow(t testing.TB, x *harness.Tenant, body string) {
	t.Helper()
	x.Do(t, "PUT", quotaPath(x), body).Want(t, 200)
}

func account(t testing.TB, x *harness.Tenant) (q quotasOf) {
	t.Helper()
	x.Do(t, "GET", quotaPath(x), nil).Want(t, 200, &q)
	return q
}

// wantAccount demands what is used of the month's tokens, and that nothing is reserved any more.
func wantAccount(t testing.TB, x *harness.Tenant, used int64) {
	t.Helper()
	q := account(t, x).Usage
	if q.Tokens.Used != used || q.Tokens.Reserved != 0 || !q.Cost.Reserved.IsZero() {
		t.Errorf("%d tokens are used and %d (%s dollars) reserved, want %d and none", q.Tokens.Used, q.Tokens.Reserved, q.Cost.Reserved, used)
	}
}

// counting calls the calculator over and over, and reports 100 tokens of input and 50 of output each time.
func counting() fakellm.Reply {
	r := calls("calculator", `{"expression":"6*7"}`)
	r.Usage = &fakellm.Usage{Input: 100, Output: 50}
	return r
}

func of(events []event.Event, phase event.Phase) []event.Progress {
	var found []event.Progress
	for _, e := range only(events, event.RunProgress) {
		var p event.Progress
		if json.Unmarshal(e.Data, &p) == nil && p.Phase == phase {
			found = append(found, p)
		}
	}
	return found
}

func TestAQuotaStopsARun(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{KeepBodies: true, Default: counting()})
	s.Config.Models.Prices = llm.PriceTable{s.Config.Models.OpenAIModel: {Input: decimal.NewFromInt(10_000), Output: decimal.NewFromInt(20_000)}} // a step costs two dollars
	p := s.Start(t, harness.All)
	t.Run("tokens", func(t *testing.T) {
		t.Parallel()
		x := p.NewTenant(t, withTools("calculator"))
		allow(t, x, `{"tokens_per_month": 400, "soft_percent": 50}`)
		r := x.StartRun(t, `{"input": "of tokens"}`)
		events := wholeLog(t, x, r.ID)
		failed := harness.Payload[event.Failed](t, last(events))
		if failed.Code != event.ErrorQuota || !strings.Contains(failed.Message, "tokens_per_month") || !strings.Contains(failed.Message, "400") || !strings.Contains(failed.Message, "frees at") {
			t.Errorf("the run ended with %s", last(events).Data)
		}
		if failed.Steps != 2 || failed.Usage.Tokens() != 300 {
			t.Errorf("it took %d steps and %d tokens", failed.Steps, failed.Usage.Tokens())
		}
		if r = x.FindRun(t, r.ID); r.Status != "failed" || r.Error.Code != event.ErrorQuota {
			t.Errorf("the row is %+v", r)
		}
		wantAccount(t, x, 300)
		if soft := of(events, event.PhaseQuota); len(soft) != 1 || soft[0].Detail != event.DetailSoftLimit || soft[0].Name != "tokens_per_month" || soft[0].Step != 2 {
			t.Errorf("the soft limit was announced as %+v", soft)
		}
		for _, record := range s.Model.Records() {
			var asked struct {
				Most int `json:"max_completion_tokens"`
				Old  int `json:"max_tokens"`
			}
			must(t, json.Unmarshal(record.Body, &asked))
			if most := max(asked.Most, asked.Old); record.LastUser == "of tokens" && (most == 0 || most > 400) {
				t.Errorf("the model may answer with %d tokens", most)
			}
		}
	})
	t.Run("money", func(t *testing.T) {
		t.Parallel()
		x := p.NewTenant(t, withTools("calculator"))
		allow(t, x, `{"cost_usd_per_month": "5.00"}`)
		r := x.StartRun(t, `{"input": "of money"}`)
		events := wholeLog(t, x, r.ID)
		failed := harness.Payload[event.Failed](t, last(events))
		if failed.Code != event.ErrorQuota || !strings.Contains(failed.Message, "cost_usd_per_month") {
			t.Errorf("the run ended with %s", last(events).Data)
		}
		q := account(t, x)
		if *q.Effective.CostUSDPerMonth != "5" || !q.Usage.Cost.Used.Equal(failed.Usage.CostUSD) || !q.Usage.Cost.Reserved.IsZero() || failed.Usage.CostUSD.IsZero() {
			t.Errorf("the account is %+v, the run cost %s", q, failed.Usage.CostUSD)
		}
	})
	t.Run("no limit", func(t *testing.T) {
		t.Parallel()
		x := p.NewTenant(t, withTools("calculator"))
		r := x.StartRun(t, `{"input": "of nothing", "budget": {"max_steps": 3}}`)
		wholeLog(t, x, r.ID)
		wantAccount(t, x, 450)
	})
}

// A run that waits for its quota goes on when there is room, and its time limit does not count the wait.
func TestARunWaitsForItsQuota(t *testing.T) {
	t.Parallel()
	first := counting()
	s := harness.NewSystem(t, fakellm.Rule{Turn: fakellm.FirstTurn, Reply: first}, fakellm.Rule{Reply: says("At last.")})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	allow(t, x, `{"tokens_per_month": 290, "on_exhausted": "pause"}`)
	r := x.StartRun(t, `{"input": "be patient", "timeout_seconds": 8}`)
	stream := x.Follow(t, r.ID, 0)
	var seen []event.Event
	for len(of(seen, event.PhaseWait)) == 0 {
		seen = append(seen, stream.Until(t, event.RunProgress)...)
	}
	if w := of(seen, event.PhaseWait)[0]; w.Detail != event.DetailBegin || w.Name != "quota" || w.Step != 2 {
		t.Errorf("the wait began as %+v", w)
	}
	wantStatus(t, s, x, r.ID, runs.Waiting)
	if r = x.FindRun(t, r.ID); r.Status != "waiting" {
		t.Errorf("the run is %s", r.Status)
	}
	wantAccount(t, x, 150)
	allow(t, x, `{"tokens_per_month": 100000, "on_exhausted": "pause"}`)
	events := wholeLog(t, x, r.ID)
	if last(events).Type != event.RunCompleted {
		t.Fatalf("the run ended with %s", last(events).Data)
	}
	var begun []int
	for _, step := range of(events, event.PhaseStep) {
		if step.Detail == event.DetailBegin {
			begun = append(begun, step.Step)
		}
	}
	if waits := of(events, event.PhaseWait); len(waits) != 2 || waits[1].Detail != event.DetailEnd || waits[1].Name != "quota" || !slices.Equal(begun, []int{1, 2}) {
		t.Errorf("the waits were %+v, the steps %v", waits, begun)
	}
	wantStatus(t, s, x, r.ID, runs.Completed)
	wantAccount(t, x, x.FindRun(t, r.ID).Usage.Tokens())
}

func TestARunIsCancelledWhileItWaitsForItsQuota(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Default: counting()})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools("calculator"))
	allow(t, x, `{"tokens_per_month": 290, "on_exhausted": "pause"}`)
	r := x.StartRun(t, `{"input": "be patient"}`)
	wantStatus(t, s, x, r.ID, runs.Waiting)
	cancel(t, x, r.ID, "no patience")
	done, _ := wantCancelled(t, x, r.ID, actor, "no patience")
	if done.StoppedMS > 3000 {
		t.Errorf("it took %d ms to stop", done.StoppedMS)
	}
	wantAccount(t, x, 150)
}

// What a step has reserved is free again, once, whatever ends its run.
func TestWhatARunHasReservedIsFreed(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Default: endless()})
	p := s.Start(t, harness.All)
	begun := func(t *testing.T) (*harness.Tenant, harness.Run) {
		t.Helper()
		x := p.NewTenant(t, withTools())
		allow(t, x, `{"tokens_per_month": 100000}`)
		r := x.StartRun(t, `{"input": "a story"}`)
		x.Follow(t, r.ID, 0).Until(t, event.MessageDelta)
		if q := account(t, x).Usage.Tokens; q.Used != 0 || q.Reserved < 4096 {
			t.Fatalf("while the step is under way: %+v", q)
		}
		return x, r
	}
	t.Run("a cancel", func(t *testing.T) {
		t.Parallel()
		x, r := begun(t)
		cancel(t, x, r.ID, "enough")
		wantAccount(t, x, x.FindRun(t, r.ID).Usage.Tokens())
	})
	t.Run("the reconciler", func(t *testing.T) {
		t.Parallel()
		x, r := begun(t)
		terminate(t, s, x, r.ID, "an operator")
		closed(t, s, x, r.ID)
		for range 3 {
			must(t, p.App.Runs.Settle(x.Context(t.Context()), r.ID))
		}
		wantEnd(t, s, x, r.ID, runs.Failed, event.ErrorTerminated)
		if q := account(t, x).Usage.Tokens; q.Reserved != 0 {
			t.Errorf("%d tokens are still reserved", q.Reserved)
		}
		_, err := p.App.Runs.Finished(x.Context(t.Context()), r.ID, runs.Outcome{Status: runs.Failed, Code: event.ErrorInternal})
		must(t, err)
		if q := account(t, x).Usage.Tokens; q.Reserved != 0 {
			t.Errorf("%d tokens are reserved after a second end", q.Reserved)
		}
	})
}

// Two attempts at a step that both come to its record are one step, and leave nothing reserved.
func TestAStepThatIsRecordedTwiceIsCountedOnce(t *testing.T) {
	t.Parallel()
	s := harness.NewSystemWith(t, fakellm.Options{Default: fakellm.Reply{Hang: true}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools())
	allow(t, x, `{"tokens_per_month": 100000}`)
	r := x.StartRun(t, `{"input": "go"}`)
	harness.Eventually(t, within, "the step has reserved", func() bool { return account(t, x).Usage.Tokens.Reserved > 0 })
	ctx := x.Context(t.Context())
	step := runs.Step{RunID: r.ID, Number: 1, Content: "So far.", Model: "m", Usage: event.Usage{InputTokens: 20, OutputTokens: 10}, At: clock.Now()}
	for range 3 {
		g, err := p.App.Quotas.Reserve(ctx, quotas.Demand{Run: r.ID, Step: 1, InputTokens: 20, OutputTokens: 500})
		if err != nil || g.Refused != nil {
			t.Fatalf("the grant is %+v, %v", g, err)
		}
		_, err = p.App.Runs.RecordStep(ctx, step)
		must(t, err)
		wantAccount(t, x, 30)
	}
	x.Do(t, "POST", path(r.ID, "/cancel?wait=true"), nil).Want(t, 200)
	if q := account(t, x).Usage.Tokens; q.Reserved != 0 {
		t.Errorf("%d are reserved after the end", q.Reserved)
	}
}

// A step whose worker dies keeps its reservation for the next attempt, and is counted once.
func TestAStepThatIsTriedAgainReservesOnce(t *testing.T) {
	t.Parallel()
	broken := says("The beginning of something longer")
	broken.CutAfter = 2
	whole := says("It is done.")
	whole.Usage = &fakellm.Usage{Input: 7, Output: 3}
	s := harness.NewSystem(t, fakellm.Rule{Times: 2, Reply: broken}, fakellm.Rule{Reply: whole})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, withTools())
	allow(t, x, `{"tokens_per_month": 5000}`)
	r := x.StartRun(t, `{"input": "go"}`)
	if events := wholeLog(t, x, r.ID); last(events).Type != event.RunCompleted {
		t.Fatalf("the run ended with %s", last(events).Data)
	}
	q := account(t, x).Usage.Tokens
	if usage := x.FindRun(t, r.ID).Usage.Tokens(); usage != 10 || q.Used < usage || q.Reserved != 0 {
		t.Errorf("the run used %d, the account has %+v", usage, q)
	}
}

// Two processes of the API admit one limit together, and every answer says where it stands.
func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	one, two := s.Start(t, harness.All), s.Start(t, app.Options{API: true})
	x := one.NewTenant(t, withTools())
	free := x.Do(t, "GET", "/v1/agents", nil)
	if free.Header.Get("RateLimit") != "" || free.Header.Get("RateLimit-Policy") != "" {
		t.Errorf("a tenant without a limit is told %v", free.Header)
	}
	allow(t, x, `{"requests_per_minute": 60}`) // four at once, and then one a second
	harness.Eventually(t, 5*time.Second, "both know the limit", func() bool {
		other := *x
		other.URL = two.URL
		return x.Do(t, "GET", "/v1/agents", nil).Header.Get("RateLimit-Policy") != "" && other.Do(t, "GET", "/v1/agents", nil).Header.Get("RateLimit-Policy") != ""
	})
	var admitted, refused atomic.Int32
	var all sync.WaitGroup
	for _, url := range []string{one.URL, two.URL} {
		y := *x
		y.URL = url
		for range 30 {
			all.Go(func() {
				a, err := y.Try(t.Context(), "GET", "/v1/agents", nil)
				switch {
				case err != nil:
					t.Error(err)
				case a.Header.Get("RateLimit-Policy") != `"requests";q=60;w=60`:
					t.Errorf("the policy is %q", a.Header.Get("RateLimit-Policy"))
				case a.Status == 200:
					admitted.Add(1)
				case a.Status == 429:
					refused.Add(1)
				}
			})
		}
	}
	began := time.Now()
	all.Wait()
	if most := int32(5 + time.Since(began).Seconds()); admitted.Load() > most || refused.Load() < 60-most {
		t.Errorf("%d were admitted and %d refused", admitted.Load(), refused.Load())
	}
	a := x.Do(t, "POST", "/v1/runs", `{"input": "go"}`)
	for a.Status == 202 { // the second is over in which one more passes
		a = x.Do(t, "POST", "/v1/runs", `{"input": "go"}`)
	}
	problem := a.WantProblem(t, 429, "rate_limited")
	if !strings.Contains(problem.Detail, "requests_per_minute") || !strings.Contains(problem.Detail, "60") || a.Header.Get("Retry-After") == "" ||
		!strings.HasPrefix(a.Header.Get("RateLimit"), `"requests";r=0;t=`) {
		t.Errorf("the refusal is %+v with %v", problem, a.Header)
	}
	for _, path := range []string{"/healthz", "/v1/openapi.json", "/docs"} {
		if a := x.Do(t, "GET", path, nil); a.Status != 200 || a.Header.Get("RateLimit") != "" {
			t.Errorf("%s: %d, %v", path, a.Status, a.Header)
		}
	}
	if a := x.Do(t, "GET", "/v1/agents", nil, "Authorization", "Bearer nonsense"); a.Status != 401 {
		t.Errorf("a stranger got %d", a.Status)
	}
}

func TestWhoSetsQuotas(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, app.Options{API: true})
	x, other := p.NewTenant(t, withTools()), p.NewTenant(t, withTools())
	as := func(role auth.Role) *harness.Tenant {
		y := *x
		y.Token = harness.Token(t, x.ID, role)
		return &y
	}
	as(auth.RoleService).Do(t, "PUT", quotaPath(x), `{"runs_per_day": 10, "on_exhausted": "pause"}`).Want(t, 200)
	x.Do(t, "PUT", quotaPath(x), `{"runs_per_day": 1000}`).Want(t, 200)
	var q struct {
		Platform, Tenant, Effective struct {
			Runs int `json:"runs_per_day"`
		}
	}
	as(auth.RoleViewer).Do(t, "GET", quotaPath(x), nil).Want(t, 200, &q)
	if q.Platform.Runs != 10 || q.Tenant.Runs != 1000 || q.Effective.Runs != 10 {
		t.Errorf("the quotas are %+v", q)
	}
	as(auth.RoleAdmin).Do(t, "PUT", quotaPath(x), `{}`).WantProblem(t, 403, "forbidden")
	x.Do(t, "GET", quotaPath(other), nil).WantProblem(t, 404, "not_found")
	x.Do(t, "PUT", quotaPath(other), `{}`).WantProblem(t, 404, "not_found")
	for _, body := range []string{
		`{"runs_per_day": -1}`, `{"requests_per_minute": 0}`, `{"soft_percent": 0}`, `{"on_exhausted": "explode"}`,
		`{"cost_usd_per_month": "-1"}`, `{"tokens_per_month": 1000000000000001}`,
	} {
		if problem := x.Do(t, "PUT", quotaPath(x), body).WantProblem(t, 422, "validation_failed"); len(problem.Errors) != 1 {
			t.Errorf("%s: %+v", body, problem)
		}
	}
	for _, body := range []string{`{"runs_a_day": 1}`, `{"runs_per_day": "many"}`, `{"runs_per_day": 1.5}`, `{"cost_usd_per_month": "NaN"}`, `[]`} {
		if a := x.Do(t, "PUT", quotaPath(x), body); a.Status != 400 && a.Status != 422 {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	x.Do(t, "GET", "/v1/tenants/nonsense/quotas", nil).WantProblem(t, 400, "malformed_request")
}
