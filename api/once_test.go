package api

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

type newThing struct {
	Name string `json:"name" validate:"required"`
	Fail bool   `json:"fail"`
}

// creating serves routes that create, over a database.
func creating(t *testing.T, calls *atomic.Int32) *rig {
	t.Helper()
	db := pgtest.New(t)
	create, wait, follow := meta("createThing"), meta("createAndWait"), meta("createAndStream")
	create.Status, create.Creates = 201, true
	wait.Creates, wait.Resumes = true, true
	follow.Creates = true
	makeThing := func(ctx context.Context, in *newThing) (thingView, error) {
		calls.Add(1)
		if in.Fail {
			return thingView{}, fault.New(fault.Conflict, "told to fail")
		}
		id, ok := idempotency.ResourceID(ctx)
		if !ok {
			id = uuid.New()
		}
		return thingView{ID: id, Name: in.Name}, nil
	}
	r := start(t, []Route{
		Handle("POST", "/v1/things", auth.RunCreate, create, makeThing),
		Handle("POST", "/v1/things/wait", auth.RunCreate, wait, makeThing),
		Stream("POST", "/v1/things/stream", auth.RunCreate, follow, func(ctx context.Context, in *newThing) (Source, error) {
			v, err := makeThing(ctx, in)
			Locate(ctx, v.Location())
			return func(_ context.Context, send func(...Frame) error) error {
				return send(Frame{ID: 1, Event: "made", Data: []byte(`"` + v.ID.String() + `"`)})
			}, err
		}),
	}, func(d *Deps) { d.Keys = idempotency.New(db.DB, slog.New(slog.DiscardHandler)) })
	_, r.tenant = db.Tenant(t, "acme")
	return r
}

func keyed(path, key, body string) request {
	return request{method: "POST", path: path, role: auth.RoleOperator, body: body, header: map[string]string{"Idempotency-Key": key}}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	r := creating(t, &calls)
	answers := make([]answer, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = r.do(t, keyed("/v1/things", "k1", `{"name": "a"}`)) })
	}
	all.Wait()
	replays := 0
	for _, a := range answers {
		if a.status != 201 || a.body != answers[0].body || a.header.Get("Location") != answers[0].header.Get("Location") ||
			a.header.Get("Location") == "" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("answers differ: %+v and %+v", a, answers[0])
		}
		if a.header.Get("Idempotency-Replayed") == "true" {
			replays++
		}
	}
	if calls.Load() != 1 || replays != 19 {
		t.Errorf("%d calls, %d replays", calls.Load(), replays)
	}
	for _, path := range []string{"/v1/things", "/v1/things?"} {
		a := r.do(t, keyed(path, "k1", `{"name": "b"}`))
		a.problem(t, fault.IdempotencyMismatch)
	}
	for _, bad := range []string{"a b", strings.Repeat("k", 256), "ä"} {
		a := r.do(t, keyed("/v1/things", bad, `{"name": "a"}`))
		a.problem(t, fault.Malformed)
	}
	// What is refused before or by the function leaves the key free.
	refused := r.do(t, keyed("/v1/things", "k2", `{}`))
	refused.problem(t, fault.Invalid)
	refused = r.do(t, keyed("/v1/things", "k2", `{"name": "a", "fail": true}`))
	refused.problem(t, fault.Conflict)
	if a := r.do(t, keyed("/v1/things", "k2", `{"name": "a"}`)); a.status != 201 || a.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("after refusals: %+v", a)
	}
	one, two := r.do(t, keyed("/v1/things", "", `{"name": "a"}`)), request{method: "POST", path: "/v1/things", role: auth.RoleOperator, body: `{"name": "a"}`}
	one.problem(t, fault.Malformed)
	if a, b := r.do(t, two), r.do(t, two); a.body == b.body {
		t.Error("without a key two requests make one thing")
	}
}

func TestIdempotencyOfWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	r := creating(t, &calls)
	for _, path := range []string{"/v1/things/wait", "/v1/things/stream"} {
		calls.Store(0)
		first, again := r.do(t, keyed(path, "k", `{"name": "a"}`)), r.do(t, keyed(path, "k", `{"name": "a"}`))
		if first.status != 200 || first.body != again.body || first.header.Get("Location") != again.header.Get("Location") || calls.Load() != 2 {
			t.Errorf("%s: %+v and %+v", path, first, again)
		}
		if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %v and %v", path, first.header, again.header)
		}
		other := r.do(t, keyed(path, "k", `{"name": "b"}`))
		other.problem(t, fault.IdempotencyMismatch)
	}
}

func TestIdempotencyInFlight(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	entered, release := make(chan struct{}), make(chan struct{})
	m := meta("createThing")
	m.Creates, m.Timeout = true, 200*time.Millisecond
	r := start(t, []Route{Handle("POST", "/v1/things", auth.RunCreate, m, func(context.Context, *newThing) (None, error) {
		close(entered)
		<-release
		return None{}, nil
	})}, func(d *Deps) { d.Keys = idempotency.New(db.DB, slog.New(slog.DiscardHandler)) })
	_, r.tenant = db.Tenant(t, "acme")
	first := make(chan answer, 1)
	go func() { first <- r.do(t, keyed("/v1/things", "k", `{"name": "a"}`)) }()
	<-entered
	a := r.do(t, keyed("/v1/things", "k", `{"name": "a"}`))
	a.problem(t, fault.IdempotencyBusy)
	close(release)
	if a := <-first; a.status != 204 {
		t.Errorf("the first answers %+v", a)
	}
	if a := r.do(t, keyed("/v1/things", "k", `{"name": "a"}`)); a.status != 204 || a.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the next answers %+v", a)
	}
}
