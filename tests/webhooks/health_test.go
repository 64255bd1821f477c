package webhooks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/enums/v1"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	r.status.Store(410)
	e := register(t, x, r.URL, nil)
	complete(t, x, `{"input": "hello"}`)
	d := settled(t, s, x, e, "refused")
	if now := find(t, x, e); now.Status != "disabled" || now.DisabledReason != "The receiver answered 410 Gone." || d.Attempts != 1 {
		t.Errorf("after 410: %+v, %+v", now, d)
	}
	if trail := audited(t, s, e); !slices.Equal(trail, []string{"webhook.disable: The receiver answered 410 Gone."}) {
		t.Errorf("the trail is %q", trail)
	}
	complete(t, x, `{"input": "hello"}`)
	if all := deliveries(t, x, e, ""); len(all) != 1 || r.requests.Load() != 1 {
		t.Errorf("%d deliveries, %d requests", len(all), r.requests.Load())
	}
}

// The clock of three days is moved in the database; all else is as it would be.
func TestThreeDaysOfErrorsDisable(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	r.status.Store(500)
	e := register(t, x, r.URL, nil)
	complete(t, x, `{"input": "hello"}`)
	harness.Eventually(t, within, "the endpoint is known to fail", func() bool { return find(t, x, e).FailingSince != nil })
	_, err := s.Database.Conn(t).Exec(t.Context(), `update webhook_endpoints set failing_since = failing_since - interval '72 hours' where id = $1`, e.ID)
	must(t, err)
	// The attempt that finds it disables the endpoint, the next one ends the delivery without a request.
	d := settled(t, s, x, e, "refused")
	now := find(t, x, e)
	if now.Status != "disabled" || !strings.HasPrefix(now.DisabledReason, "It has failed since") {
		t.Errorf("after three days: %+v", now)
	}
	if last := d.Log[0]; last.StatusCode != nil || !strings.Contains(last.Error, "the endpoint is disabled: It has failed since") || *d.Log[1].StatusCode != 500 || int(r.requests.Load()) != d.Attempts-1 {
		t.Errorf("the delivery is %+v after %d requests", d, r.requests.Load())
	}
	if trail := audited(t, s, e); len(trail) != 1 {
		t.Errorf("the trail is %q", trail)
	}
	// It is a tenant's to enable it again; what failed can be delivered then.
	r.status.Store(200)
	x.Do(t, "POST", e.path("/enable"), nil).Want(t, 200)
	x.Do(t, "POST", e.path("/deliveries/"+d.ID.String()+"/redeliver"), nil).Want(t, 202)
	r.next(t).verify(t, []string{e.Secret})
	settled(t, s, x, e, "delivered")
	if now := find(t, x, e); now.Status != "enabled" || now.FailingSince != nil {
		t.Errorf("after a success: %+v", now)
	}
}

func TestDeletionEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	r.status.Store(503)
	e := register(t, x, r.URL, nil)
	complete(t, x, `{"input": "hello"}`)
	harness.Eventually(t, within, "it was tried", func() bool { return r.requests.Load() > 0 })
	d := settled(t, s, x, e, "pending")
	x.Do(t, "DELETE", e.path(""), nil).Want(t, 204)
	for _, path := range []string{"", "/deliveries", "/deliveries/" + d.ID.String()} {
		x.Do(t, "GET", e.path(path), nil).WantProblem(t, 404, "not_found")
	}
	_ = s.Temporal.GetWorkflow(t.Context(), workflowOf(x, e, d), "").Get(t.Context(), nil)
	described, err := s.Temporal.DescribeWorkflowExecution(t.Context(), workflowOf(x, e, d), "")
	must(t, err)
	if status := described.GetWorkflowExecutionInfo().GetStatus(); status != enums.WORKFLOW_EXECUTION_STATUS_FAILED {
		t.Errorf("its workflow is %s", status)
	}
	var kept, status string
	must(t, s.Database.Conn(t).QueryRow(t.Context(), `select e::text, (select status from deliveries where endpoint_id = e.id)
		from webhook_endpoints e where id = $1`, e.ID).Scan(&kept, &status))
	if strings.Contains(kept, r.URL) || status != "refused" {
		t.Errorf("kept %s, the delivery is %s", kept, status)
	}
	before := r.requests.Load()
	complete(t, x, `{"input": "hello"}`)
	var n int
	must(t, s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from deliveries where endpoint_id = $1`, e.ID).Scan(&n))
	if n != 1 || r.requests.Load() != before {
		t.Errorf("%d deliveries, %d requests more", n, r.requests.Load()-before)
	}
}

func TestATestSaysHowItWent(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r, h := newReceiver(t), newHanging(t)
	closed := newReceiver(t)
	closed.Close()
	type probe struct {
		Delivered  bool   `json:"delivered"`
		StatusCode *int   `json:"status_code"`
		DurationMS int64  `json:"duration_ms"`
		Error      string `json:"error"`
		Response   string `json:"response"`
	}
	test := func(e endpoint) probe {
		var p probe
		x.Do(t, "POST", e.path("/test"), nil).Want(t, 200, &p)
		return p
	}
	e := register(t, x, r.URL, nil)
	x.Do(t, "POST", e.path("/disable"), `{"a": 1}`).Want(t, 400)
	x.Do(t, "POST", e.path("/disable"), nil).Want(t, 200)
	if p := test(e); !p.Delivered || *p.StatusCode != 200 || p.Response != "as you say" || p.Error != "" {
		t.Errorf("a good receiver: %+v", p)
	}
	got := r.next(t)
	got.verify(t, []string{e.Secret})
	if !strings.Contains(string(got.body), `"type":"webhook_test"`) || !strings.Contains(string(got.body), e.ID.String()) {
		t.Errorf("the test says %s", got.body)
	}
	r.status.Store(410)
	if p := test(e); p.Delivered || *p.StatusCode != 410 {
		t.Errorf("a receiver that is gone: %+v", p)
	}
	if p := test(register(t, x, closed.URL, nil)); p.Delivered || p.StatusCode != nil || p.Error == "" || strings.Contains(p.Error, "127.0.0.1") {
		t.Errorf("a closed port: %+v", p)
	}
	if p := test(register(t, x, h.URL, nil)); p.Delivered || p.StatusCode != nil || p.DurationMS < 9000 || p.DurationMS > 15000 {
		t.Errorf("a receiver that hangs: %+v", p)
	}
	if len(deliveries(t, x, e, "")) != 0 || find(t, x, e).Status != "disabled" || find(t, x, e).DisabledReason != "It was disabled by tester." {
		t.Error("a test left a trace")
	}
}

// Where private addresses are not allowed a name or a redirect does not lead to one, in a test or in a delivery.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	cfg := s.Config
	cfg.EgressAllow = nil
	x := s.StartWith(t, cfg, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	port := r.URL[strings.LastIndexByte(r.URL, ':'):]
	for url, status := range map[string]int{
		"here": 422, "file:///etc/passwd": 422, "http://a:b@example.com/": 422, "http://example.com/#x": 422, "http://2130706433/": 403,
		"http://[::ffff:127.0.0.1]/": 403, "http://127.0.0.1/": 403, "http://169.254.169.254/latest/meta-data/": 403,
	} {
		if a := x.Do(t, "POST", "/v1/webhooks", map[string]any{"url": url, "events": []string{"run_error"}}); a.Status != status {
			t.Errorf("%s: %d %s", url, a.Status, a.Body)
		}
	}
	e := register(t, x, "http://localhost"+port+"/", nil)
	if a := x.Do(t, "POST", e.path("/test"), nil); !strings.Contains(string(a.Body), "private network that is not allowed") {
		t.Errorf("the test says %s", a.Body)
	}
	complete(t, x, `{"input": "hello"}`)
	harness.Eventually(t, within, "it was tried", func() bool {
		all := deliveries(t, x, e, "")
		return len(all) == 1 && strings.Contains(all[0].Error, "private network that is not allowed")
	})
	if n := r.requests.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	// An address that was allowed when the endpoint was made is not reached when it no longer is.
	_, err := s.Database.Conn(t).Exec(t.Context(), `update webhook_endpoints set url = $2 where id = $1`, e.ID, r.URL)
	must(t, err)
	if a := x.Do(t, "POST", e.path("/test"), nil); !strings.Contains(string(a.Body), "not allowed") || r.requests.Load() != 0 {
		t.Errorf("the test says %s after %d requests", a.Body, r.requests.Load())
	}
}

func TestSecretsAreInOnePlace(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := newReceiver(t)
	body := map[string]any{"url": r.URL, "events": []string{"run_completed"}, "headers": map[string]string{"Authorization": "Bearer very-hush"}}
	var first, again, rotated, same endpoint
	x.Do(t, "POST", "/v1/webhooks", body, "Idempotency-Key", "one").Want(t, 201, &first)
	repeated := x.Do(t, "POST", "/v1/webhooks", body, "Idempotency-Key", "one")
	repeated.Want(t, 201, &again)
	if again.ID != first.ID || again.Secret != first.Secret || first.Secret == "" || repeated.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("repeated: %s", repeated.Body)
	}
	body["events"] = []string{"run_error"}
	x.Do(t, "POST", "/v1/webhooks", body, "Idempotency-Key", "one").WantProblem(t, 422, "idempotency_mismatch")
	for into, key := range map[*endpoint]string{&rotated: "two", &same: "two"} {
		x.Do(t, "POST", first.path("/rotate-secret"), `{}`, "Idempotency-Key", key).Want(t, 201, into)
	}
	if rotated.Secret != same.Secret || rotated.Secret == first.Secret || len(same.Secrets) != 2 {
		t.Errorf("rotated twice: %+v", same.Secrets)
	}
	complete(t, x, `{"input": "hello"}`)
	r.next(t).verify(t, []string{first.Secret, rotated.Secret})
	settled(t, s, x, first, "delivered")
	// Nowhere but in the two tables that a tenant's own token does not read.
	conn := s.Database.Conn(t)
	rows, err := conn.Query(t.Context(), `select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`)
	must(t, err)
	var tables []string
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	for _, table := range tables {
		if table == "webhook_secrets" || table == "webhook_headers" {
			continue
		}
		for what, secret := range map[string]string{"the first secret": first.Secret, "the second": rotated.Secret, "a header": "very-hush"} {
			var n int
			must(t, conn.QueryRow(t.Context(), fmt.Sprintf(`select count(*) from %s x where x::text like '%%' || $1 || '%%'
				or x::text like '%%' || encode($1::bytea, 'hex') || '%%'`, table), secret).Scan(&n))
			if n > 0 {
				t.Errorf("%s stands in %s", what, table)
			}
		}
	}
	if len(tables) < 12 {
		t.Errorf("only the tables %v were looked at", tables)
	}
}
