package security

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/harness"
)

func count(t *testing.T, s *harness.System, x *harness.Tenant, table string) (n int) {
	t.Helper()
	if err := s.Database.Conn(t).QueryRow(t.Context(), `select count(*) from `+table+` where tenant_id = $1`, x.ID).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTheSameKeyFromTwentyConnections sends one request twenty times at the same instant, to two processes.
func TestTheSameKeyFromTwentyConnections(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p, q := s.Start(t, harness.All), s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	const clients = 20
	answers := make([]harness.Answer, clients)
	var ready, all sync.WaitGroup
	var gate sync.WaitGroup
	gate.Add(1)
	ready.Add(clients)
	for i := range clients {
		there := *x
		if i%2 == 1 {
			there.URL = q.URL
		}
		all.Go(func() {
			ready.Done()
			gate.Wait()
			a, err := there.Try(t.Context(), "POST", "/v1/runs", `{"input": "hello"}`, "Idempotency-Key", "one")
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	ready.Wait()
	gate.Done()
	all.Wait()
	fresh := 0
	for _, a := range answers {
		a.Want(t, 202)
		if !bytes.Equal(a.Body, answers[0].Body) || a.Header.Get("Location") == "" || a.Header.Get("Location") != answers[0].Header.Get("Location") {
			t.Errorf("the answers differ: %s %s\n%s %s", a.Header.Get("Location"), a.Body, answers[0].Header.Get("Location"), answers[0].Body)
		}
		if a.Header.Get("Idempotency-Replayed") == "" {
			fresh++
		}
	}
	if fresh != 1 {
		t.Errorf("%d answers are not replayed", fresh)
	}
	if n := count(t, s, x, "agent_runs"); n != 1 {
		t.Errorf("%d runs were made", n)
	}
	var r harness.Run
	answers[0].Want(t, 202, &r)
	harness.WantWhole(t, x.Follow(t, r.ID, 0).Rest(t))
	// After the end the first answer stands.
	again := x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`, "Idempotency-Key", "one")
	again.Want(t, 202)
	if !bytes.Equal(again.Body, answers[0].Body) {
		t.Errorf("after the end: %s, first %s", again.Body, answers[0].Body)
	}
	if n := s.Model.Stats().Requests; n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
	for _, other := range []string{`{"input": "hello!"}`, `{"input": "hello" }`, `{}`, `{"input": 1}`} {
		a := x.Do(t, "POST", "/v1/runs", other, "Idempotency-Key", "one")
		if wantWellFormed(t, other, a); a.Status != 422 {
			t.Errorf("%s with the same key: %d %s", other, a.Status, a.Body)
		}
	}
	x.Do(t, "POST", "/v1/runs", `{"input": "hello!"}`, "Idempotency-Key", "one").WantProblem(t, 422, "idempotency_mismatch")
	if n := count(t, s, x, "agent_runs"); n != 1 {
		t.Errorf("%d runs in the end", n)
	}
}

func TestAKeyOnAStream(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	var places []string
	for range 3 {
		stream := x.OpenRun(t, `{"input": "hello"}`, "Idempotency-Key", "one")
		events := stream.Rest(t)
		harness.WantWhole(t, events)
		if events[len(events)-1].Type != event.RunCompleted {
			t.Errorf("it ends with %v", harness.Types(events))
		}
		places = append(places, stream.Header.Get("Location"))
	}
	if places[0] == "" || places[0] != places[1] || places[1] != places[2] {
		t.Errorf("the places are %v", places)
	}
	x.Do(t, "POST", "/v1/runs/stream", `{"input": "hello!"}`, "Idempotency-Key", "one").WantProblem(t, 422, "idempotency_mismatch")
	var first, second harness.Run
	x.Do(t, "POST", "/v1/runs/wait", `{"input": "hello"}`, "Idempotency-Key", "two").Want(t, 200, &first)
	x.Do(t, "POST", "/v1/runs/wait", `{"input": "hello"}`, "Idempotency-Key", "two").Want(t, 200, &second)
	if first.ID != second.ID || second.Status != "completed" {
		t.Errorf("waited for %+v and %+v", first, second)
	}
	if n := count(t, s, x, "agent_runs"); n != 2 {
		t.Errorf("%d runs were made", n)
	}
}

func TestKeysOfTwoTenants(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	a, b := p.NewTenant(t, agents.Config{}), p.NewTenant(t, agents.Config{})
	var first, second harness.Run
	a.Do(t, "POST", "/v1/runs", `{"input": "hello"}`, "Idempotency-Key", "one").Want(t, 202, &first)
	b.Do(t, "POST", "/v1/runs", `{"input": "another"}`, "Idempotency-Key", "one").Want(t, 202, &second)
	if first.ID == second.ID {
		t.Error("two tenants share a key")
	}
	// A key belongs to a route: the same on another one makes something else.
	a.Do(t, "POST", "/v1/threads", `{}`, "Idempotency-Key", "one").Want(t, 201)
	for _, x := range []*harness.Tenant{a, b} {
		if n := count(t, s, x, "agent_runs"); n != 1 {
			t.Errorf("%d runs were made", n)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	for name, keys := range map[string][]string{
		"empty": {""}, "with a space": {"a b"}, "umlaut": {"ä"}, "256 bytes": {strings.Repeat("k", 256)}, "two": {"a", "b"}, "a tab": {"a\tb"},
	} {
		a := send(t, x, "POST", "/v1/runs", `{"input": "hello"}`, map[string][]string{"Idempotency-Key": keys})
		wantWellFormed(t, name, a)
		a.WantProblem(t, 400, "malformed_request")
	}
	send(t, x, "POST", "/v1/runs", `{"input": "hello"}`, map[string][]string{"Idempotency-Key": {strings.Repeat("k", 255)}}).Want(t, 202)
	// A request that is refused does not use its key up.
	for i, body := range []string{`{"input": ""}`, `{"input": "hello", "nonsense": 1}`, `{`} {
		key := fmt.Sprint("corrected-", i)
		if a := x.Do(t, "POST", "/v1/runs", body, "Idempotency-Key", key); a.Status < 400 || a.Status > 499 {
			t.Errorf("%s: %d", body, a.Status)
		}
		x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`, "Idempotency-Key", key).Want(t, 202)
	}
}

// TestAKeyOfWhatIsGone repeats the request that made something after it was deleted: it does not come back,
// and the answer is none that speaks of the path.
func TestAKeyOfWhatIsGone(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	const body = `{"url": "http://127.0.0.1:9/", "events": ["run_error"]}`
	var made struct{ ID string }
	x.Do(t, "POST", "/v1/webhooks", body, "Idempotency-Key", "one").Want(t, 201, &made)
	x.Do(t, "DELETE", "/v1/webhooks/"+made.ID, nil).Want(t, 204)
	x.Do(t, "POST", "/v1/webhooks", body, "Idempotency-Key", "one").WantProblem(t, 409, "conflict")
	x.Do(t, "GET", "/v1/webhooks/"+made.ID, nil).WantProblem(t, 404, "not_found")
}
