package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/tests/fakellm"
	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/tests/pace"
)

// Two API processes and a worker, twenty readers that come when they like and from where they like:
// each gets the same log, whole, although nobody told the others when it grew.
func TestReadersJoinWhenTheyLike(t *testing.T) {
	t.Parallel()
	const words, readers = 400, 20
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Words: words, Gated: true}})
	first := s.Start(t, app.Options{API: true})
	second := s.Start(t, app.Options{API: true})
	s.Start(t, app.Options{Worker: true})
	x := first.NewTenant(t, agents.Config{})
	y := *x
	y.URL = second.URL
	r := x.StartRun(t, `{"input": "a long story"}`)

	seen := make([][]event.Event, readers)
	after := make([]int64, readers)
	var all sync.WaitGroup
	chance := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same readers each time
	for i := range readers {
		s.Model.Release(words / readers)
		must(t, s.Model.WaitChunks(soon(t), 1+i*words/readers))
		from := x
		if i%2 == 1 {
			from = &y
		}
		if i%3 == 2 { // some have seen a part already
			var page struct{ Items []event.Event }
			from.Do(t, "GET", path(r.ID, "/events?limit=1000"), nil).Want(t, 200, &page)
			after[i] = chance.Int64N(int64(len(page.Items)) + 1)
		}
		follower := from.Follow(t, r.ID, after[i])
		all.Go(func() { seen[i] = follower.Rest(t) })
	}
	s.Model.Release(words)
	released := pace.Start(t)
	all.Wait()
	if took := released.Took(); took > 20*time.Second { // a reader that nobody tells looks again after 30 s
		t.Errorf("the readers had the end after %s", took)
	}
	whole := wholeLog(t, x, r.ID)
	wantReadable(t, whole)
	for i := range readers {
		if got, want := encode(t, seen[i]), encode(t, whole[after[i]:]); got != want {
			t.Errorf("reader %d, after %d, saw %d events, the log has %d:\n%s", i, after[i], len(seen[i]), len(whole), firstDifference(got, want))
		}
	}
}

func encode(t *testing.T, events []event.Event) string {
	t.Helper()
	var lines strings.Builder
	for _, e := range events {
		data, err := json.Marshal(e)
		must(t, err)
		lines.Write(append(data, '\n'))
	}
	return lines.String()
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: %s\nwant:   %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(g), len(w))
}

func TestResumeInTheMiddle(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Words: 20, Gated: true}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "a story"}`)
	follower := x.Follow(t, r.ID, 0)
	s.Model.Release(5)
	before := follower.Until(t, event.MessageDelta)
	follower.Close()
	s.Model.Release(100)
	follower = x.Follow(t, r.ID, last(before).Seq)
	both := append(before, follower.Rest(t)...)
	harness.WantWhole(t, both)
	if got, want := encode(t, both), encode(t, wholeLog(t, x, r.ID)); got != want {
		t.Errorf("what was seen in two parts is not the log:\n%s", firstDifference(got, want))
	}
	end := last(both).Seq
	stream := path(r.ID, "/stream")
	a := x.Do(t, "GET", stream, nil, "Last-Event-ID", fmt.Sprint(end-1))
	a.Want(t, 200)
	if got := strings.Count(string(a.Body), "\ndata: "); got != 1 || !strings.Contains(string(a.Body), fmt.Sprintf("id: %d\nevent: run_completed\n", end)) {
		t.Errorf("after the last but one comes\n%s", a.Body)
	}
	if got := a.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Errorf("the type is %q", got)
	}
	x.Do(t, "GET", stream, nil, "Last-Event-ID", fmt.Sprint(end)).Want(t, 204)
	x.Do(t, "GET", stream+fmt.Sprintf("?after=%d", end), nil).Want(t, 204)
	x.Do(t, "GET", stream+fmt.Sprintf("?after=%d", end+1), nil).WantProblem(t, 400, "malformed_request")
	x.Do(t, "GET", stream+"?after=-1", nil).WantProblem(t, 400, "malformed_request")
	x.Do(t, "GET", path(uuid.New(), "/stream"), nil).WantProblem(t, 404, "not_found")
}

func TestCreateAndStream(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	a := x.Do(t, "POST", "/v1/runs/stream", `{"input": "hello"}`)
	a.Want(t, 200)
	id, err := uuid.Parse(strings.TrimPrefix(a.Header.Get("Location"), "/v1/runs/"))
	if err != nil {
		t.Fatalf("the location is %q", a.Header.Get("Location"))
	}
	var events []event.Event
	for line := range strings.SplitSeq(string(a.Body), "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var e event.Event
			must(t, json.Unmarshal([]byte(data), &e))
			events = append(events, e)
		}
	}
	harness.WantWhole(t, events)
	if got, want := encode(t, events), encode(t, wholeLog(t, x, id)); got != want {
		t.Errorf("the stream is not the log:\n%s", firstDifference(got, want))
	}
	x.Do(t, "POST", "/v1/runs/stream", `{"input": ""}`).WantProblem(t, 422, "validation_failed")
}

// The client that started a run leaves; the run goes on.
func TestARunOutlivesItsClient(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Reply: fakellm.Reply{Text: "Nobody listens.", Gated: true}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.URL+"/v1/runs/stream", strings.NewReader(`{"input": "hello"}`))
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+x.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	id := uuid.MustParse(strings.TrimPrefix(resp.Header.Get("Location"), "/v1/runs/"))
	must(t, s.Model.WaitRequests(soon(t), 1))
	leave()
	_ = resp.Body.Close()
	s.Model.Release(100)
	if events := wholeLog(t, x, id); last(events).Type != event.RunCompleted {
		t.Errorf("the run ended with %s", last(events).Data)
	}
}

func TestCreateAndWait(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}})
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	var r, again harness.Run
	key := uuid.NewString()
	a := x.Do(t, "POST", "/v1/runs/wait", `{"input": "hello"}`, "Idempotency-Key", key)
	a.Want(t, 200, &r)
	if r.Status != "completed" || *r.Output != "Hello there." || a.Header.Get("Location") != "/v1/runs/"+r.ID.String() {
		t.Errorf("the run is %+v at %q", r, a.Header.Get("Location"))
	}
	x.Do(t, "POST", "/v1/runs/wait", `{"input": "hello"}`, "Idempotency-Key", key).Want(t, 200, &again)
	x.Do(t, "POST", "/v1/runs/wait", `{"input": "bye"}`, "Idempotency-Key", key).Want(t, 422)
	if again.ID != r.ID || s.Model.Stats().Requests != 1 {
		t.Errorf("the same key started another run: %s and %s", r.ID, again.ID)
	}
	x.Do(t, "POST", "/v1/runs/wait", `{"input": "wrong"}`).Want(t, 200, &r)
	if r.Status != "failed" || r.Error == nil || r.Error.Code != event.ErrorModel {
		t.Errorf("the run is %+v", r)
	}
	a = x.Do(t, "POST", "/v1/runs", `{"input": "hello"}`)
	a.Want(t, 202, &r)
	if a.Header.Get("Location") != "/v1/runs/"+r.ID.String() {
		t.Errorf("the location is %q", a.Header.Get("Location"))
	}
	wholeLog(t, x, r.ID)
}

func TestEventsInPages(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	r := x.StartRun(t, `{"input": "hello"}`)
	whole := wholeLog(t, x, r.ID)
	var read []event.Event
	for query := "after=0"; ; {
		var page struct {
			Items      []event.Event `json:"items"`
			NextCursor *string       `json:"next_cursor"`
		}
		x.Do(t, "GET", path(r.ID, "/events?limit=2&"+query), nil).Want(t, 200, &page)
		if read = append(read, page.Items...); page.NextCursor == nil {
			break
		}
		if len(page.Items) != 2 {
			t.Fatalf("a page in the middle is %+v", page)
		}
		query = "cursor=" + *page.NextCursor
	}
	x.Do(t, "GET", path(r.ID, "/events?after=1&cursor=MQ"), nil).WantProblem(t, 422, "validation_failed")
	x.Do(t, "GET", path(r.ID, "/events?cursor=nonsense!"), nil).WantProblem(t, 400, "malformed_request")
	if got, want := encode(t, read), encode(t, whole); got != want {
		t.Errorf("the pages are not the log:\n%s", firstDifference(got, want))
	}
	x.Do(t, "GET", path(r.ID, "/events?limit=-1"), nil).WantProblem(t, 422, "validation_failed")
	x.Do(t, "GET", path(r.ID, "/events?limit=1001"), nil).WantProblem(t, 422, "validation_failed")
	x.Do(t, "GET", path(r.ID, "/events?after=999"), nil).WantProblem(t, 400, "malformed_request")
	p.NewTenant(t, agents.Config{}).Do(t, "GET", path(r.ID, "/events"), nil).WantProblem(t, 404, "not_found")
}

func TestListsOfRuns(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t, fakellm.Rule{Contains: "wrong", Reply: fakellm.Reply{Failure: &fakellm.Failure{Status: 400}}})
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	other := p.NewTenant(t, agents.Config{})
	wholeLog(t, other, other.StartRun(t, `{"input": "not yours"}`).ID)
	var agent, thread struct {
		ID uuid.UUID `json:"id"`
	}
	x.Do(t, "POST", "/v1/agents", `{"slug": "second", "name": "Second"}`).Want(t, 201, &agent)
	x.Do(t, "POST", "/v1/threads", `{}`).Want(t, 201, &thread)
	workspace := uuid.Must(uuid.NewV7())
	_, err := s.Database.Conn(t).Exec(t.Context(), `insert into workspaces (id, tenant_id, slug, name) values ($1, $2, 'w', 'w')`, workspace, x.ID)
	must(t, err)

	var ids []uuid.UUID // in the order of creation
	start := func(body string) harness.Run {
		t.Helper()
		r := x.StartRun(t, body)
		wholeLog(t, x, r.ID)
		ids = append(ids, r.ID)
		return r
	}
	plain := start(`{"input": "hello"}`)
	byAgent := start(`{"input": "hello", "agent": "second"}`)
	onThread := start(fmt.Sprintf(`{"input": "hello", "thread_id": %q}`, thread.ID))
	inWorkspace := start(fmt.Sprintf(`{"input": "hello", "workspace_id": %q}`, workspace))
	failed := start(`{"input": "wrong"}`)
	for range 5 {
		start(`{"input": "hello"}`)
	}
	var found struct {
		CreatedAt time.Time `json:"created_at"`
	}
	x.Do(t, "GET", path(failed.ID, ""), nil).Want(t, 200, &found)
	middle := found.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00")

	type list struct {
		Items      []harness.Run `json:"items"`
		NextCursor *string       `json:"next_cursor"`
	}
	for query, want := range map[string][]uuid.UUID{
		"":                                   ids,
		"status=failed":                      {failed.ID},
		"status=failed&status=completed":     ids,
		"status=queued":                      {},
		"agent_id=" + agent.ID.String():      {byAgent.ID},
		"thread_id=" + thread.ID.String():    {onThread.ID},
		"workspace_id=" + workspace.String(): {inWorkspace.ID},
		"schedule_id=" + uuid.NewString():    {},
		"created_after=" + middle:            ids[4:],
		"created_before=" + middle:           ids[:4],
		"created_before=" + middle + "&status=completed&agent_id=" + agent.ID.String(): {byAgent.ID},
	} {
		var l list
		x.Do(t, "GET", "/v1/runs?limit=200&"+query, nil).Want(t, 200, &l)
		if l.NextCursor != nil || len(l.Items) != len(want) {
			t.Errorf("%q finds %d runs, want %d", query, len(l.Items), len(want))
			continue
		}
		for i, r := range l.Items {
			if r.ID != want[len(want)-1-i] {
				t.Errorf("%q: run %d is %s, want the newest first", query, i, r.ID)
			}
		}
	}
	var walked []uuid.UUID
	for cursor := ""; ; {
		var l list
		x.Do(t, "GET", "/v1/runs?limit=3&cursor="+cursor, nil).Want(t, 200, &l)
		for _, r := range l.Items {
			walked = append(walked, r.ID)
		}
		if len(walked) == 3 { // what is created meanwhile does not move the pages
			wholeLog(t, x, x.StartRun(t, `{"input": "hello"}`).ID)
		}
		if l.NextCursor == nil {
			break
		}
		cursor = *l.NextCursor
	}
	if len(walked) != len(ids) || walked[0] != ids[len(ids)-1] || walked[len(ids)-1] != plain.ID {
		t.Errorf("the pages hold %v, want the reverse of %v", walked, ids)
	}
	for _, query := range []string{"limit=-1", "limit=201", "status=lost"} {
		x.Do(t, "GET", "/v1/runs?"+query, nil).WantProblem(t, 422, "validation_failed")
	}
	for _, query := range []string{"cursor=x", "agent_id=x", "created_after=yesterday", "limit=many"} {
		x.Do(t, "GET", "/v1/runs?"+query, nil).WantProblem(t, 400, "malformed_request")
	}
}
