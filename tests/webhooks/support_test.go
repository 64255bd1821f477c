// Package webhooks tries what a tenant's own webhooks promise, from outside: the whole program, real
// receivers, and what a bad day does to them.
package webhooks

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }

// within bounds what should happen soon; it is long because machines are busy.
const within = 30 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// request is what a receiver got.
type request struct {
	header  http.Header
	body    []byte
	message webhook.Message
	at      time.Time
}

// receiver takes webhooks and answers with its status.
type receiver struct {
	*httptest.Server
	took     chan request
	requests atomic.Int32
	status   atomic.Int32
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{took: make(chan request, 1024)}
	r.status.Store(200)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		got := request{header: req.Header.Clone(), body: body, at: time.Now()}
		if err == nil {
			err = json.Unmarshal(body, &got.message)
		}
		if err != nil {
			t.Errorf("the webhook cannot be read: %v", err)
		}
		r.requests.Add(1)
		w.WriteHeader(int(r.status.Load()))
		_, _ = w.Write([]byte("as you say"))
		if r.status.Load()/100 == 2 {
			r.took <- got
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) next(t testing.TB) request {
	t.Helper()
	select {
	case got := <-r.took:
		return got
	case <-time.After(within):
		t.Fatal("no webhook came")
		return request{}
	}
}

// verify demands a signature of each secret, and none of others.
func (r request) verify(t testing.TB, secrets []string, others ...string) {
	t.Helper()
	for i, secret := range append(append([]string(nil), secrets...), others...) {
		verifier, err := standardwebhooks.NewWebhook(secret)
		must(t, err)
		if err := verifier.Verify(r.body, r.header); (err == nil) != (i < len(secrets)) {
			t.Errorf("secret %d of %d that sign, %d that do not: %v", i+1, len(secrets), len(others), err)
		}
	}
}

// hanging is a receiver that takes connections and answers nothing.
type hanging struct {
	*httptest.Server
	came atomic.Int32
}

func newHanging(t testing.TB) *hanging {
	t.Helper()
	over := make(chan struct{})
	h := &hanging{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		h.came.Add(1)
		select {
		case <-req.Context().Done():
		case <-over:
		}
	}))
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(over) }); h.Close() })
	return h
}

// endpoint is what the tests look at of a webhook.
type endpoint struct {
	ID             uuid.UUID         `json:"id"`
	Status         string            `json:"status"`
	DisabledReason string            `json:"disabled_reason"`
	FailingSince   *time.Time        `json:"failing_since"`
	Secret         string            `json:"secret"`
	Headers        map[string]string `json:"headers"`
	Secrets        []struct {
		ID uuid.UUID `json:"id"`
	} `json:"secrets"`
}

func (e endpoint) path(rest string) string { return "/v1/webhooks/" + e.ID.String() + rest }

var allEvents = []event.Type{event.RunStarted, event.RunProgress, event.RunCompleted, event.RunError, event.RunCancelled}

// register makes a webhook; body is laid over one that wants the end of runs.
func register(t testing.TB, x *harness.Tenant, url string, body map[string]any) endpoint {
	t.Helper()
	whole := map[string]any{"url": url, "events": []string{"run_completed", "run_error", "run_cancelled"}}
	for k, v := range body {
		whole[k] = v
	}
	var e endpoint
	x.Do(t, "POST", "/v1/webhooks", whole).Want(t, 201, &e)
	return e
}

func find(t testing.TB, x *harness.Tenant, e endpoint) endpoint {
	t.Helper()
	var found endpoint
	x.Do(t, "GET", e.path(""), nil).Want(t, 200, &found)
	return found
}

// delivery is what the tests look at of a delivery.
type delivery struct {
	ID       uuid.UUID  `json:"id"`
	RunID    uuid.UUID  `json:"run_id"`
	Seq      int64      `json:"seq"`
	Type     event.Type `json:"type"`
	Status   string     `json:"status"`
	Attempts int        `json:"attempts"`
	Error    string     `json:"error"`
	Log      []struct {
		N          int    `json:"n"`
		StatusCode *int   `json:"status_code"`
		Error      string `json:"error"`
		Response   string `json:"response"`
		DurationMS int64  `json:"duration_ms"`
	} `json:"attempt_log"`
}

func deliveries(t testing.TB, x *harness.Tenant, e endpoint, query string) []delivery {
	t.Helper()
	var page struct {
		Items []delivery `json:"items"`
	}
	x.Do(t, "GET", e.path("/deliveries")+query, nil).Want(t, 200, &page)
	return page.Items
}

// settled gives the endpoint's one delivery once it has the status, and its workflow has ended.
func settled(t testing.TB, s *harness.System, x *harness.Tenant, e endpoint, status string) delivery {
	t.Helper()
	var d delivery
	harness.Eventually(t, within, "the delivery is "+status, func() bool {
		all := deliveries(t, x, e, "")
		if len(all) == 1 {
			d = all[0]
		}
		return d.Status == status
	})
	if status != "pending" {
		_ = s.Temporal.GetWorkflow(t.Context(), workflowOf(x, e, d), "").Get(t.Context(), nil)
	}
	x.Do(t, "GET", e.path("/deliveries/"+d.ID.String()), nil).Want(t, 200, &d)
	return d
}

func workflowOf(x *harness.Tenant, e endpoint, d delivery) string {
	return workflows.DeliveryWorkflowID(connectors.Delivery{TenantID: x.ID, RunID: d.RunID, Seq: d.Seq, Connector: "endpoints", Target: e.ID.String()})
}

// audited gives the actions that the trail holds about an endpoint.
func audited(t testing.TB, s *harness.System, e endpoint) []string {
	t.Helper()
	rows, err := s.Database.Conn(t).Query(t.Context(), `select action || ': ' || (data ->> 'reason') from audit_logs
		where resource_id = $1 and action = 'webhook.disable' order by at`, e.ID.String())
	must(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		must(t, rows.Scan(&text))
		all = append(all, text)
	}
	must(t, rows.Err())
	return all
}

// complete runs a run to its end.
func complete(t testing.TB, x *harness.Tenant, body any) uuid.UUID {
	t.Helper()
	var r harness.Run
	x.Do(t, "POST", "/v1/runs/wait", body).Want(t, 200, &r)
	return r.ID
}
