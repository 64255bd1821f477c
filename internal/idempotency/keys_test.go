package idempotency_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/idempotency"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/scope"
)

type rig struct {
	*idempotency.Keys
	db     *pgtest.Database
	ctx    context.Context //nolint:containedctx // the test's own
	tenant uuid.UUID
}

func start(t *testing.T) rig {
	t.Helper()
	db := pgtest.New(t)
	ctx, tenant := db.Tenant(t, "acme")
	return rig{idempotency.New(db.DB, slog.New(slog.DiscardHandler)), db, ctx, tenant}
}

func request(key, body string) idempotency.Request {
	return idempotency.Request{Route: "POST /v1/things", Key: key, Hash: sha256.Sum256([]byte(body))}
}

// made is the answer of a handler that makes a thing with the id it is given.
func made(ctx context.Context) (idempotency.Answer, error) {
	id, ok := idempotency.ResourceID(ctx)
	if !ok {
		return idempotency.Answer{}, errors.New("no resource id")
	}
	return idempotency.Answer{Status: 201, Location: "/v1/things/" + id.String(), Body: []byte(`{"id":"` + id.String() + `"}`)}, nil
}

func TestSameKeyRunsOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	var calls atomic.Int32
	var all sync.WaitGroup
	answers, replays := make([]idempotency.Answer, 20), atomic.Int32{}
	for i := range answers {
		all.Go(func() {
			a, replayed, err := r.Do(r.ctx, request("k", "a"), func(ctx context.Context) (idempotency.Answer, error) {
				calls.Add(1)
				return made(ctx)
			})
			if err != nil {
				t.Error(err)
			}
			if replayed {
				replays.Add(1)
			}
			answers[i] = a
		})
	}
	all.Wait()
	if calls.Load() != 1 || replays.Load() != 19 {
		t.Errorf("%d calls, %d replays", calls.Load(), replays.Load())
	}
	for _, a := range answers {
		if a.Status != 201 || !reflect.DeepEqual(a, answers[0]) {
			t.Errorf("answers differ: %+v and %+v", a, answers[0])
		}
	}
}

func TestScopeOfAKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	other, _ := r.db.Tenant(t, "globex")
	elsewhere := request("k", "a")
	elsewhere.Route = "POST /v1/others"
	locations := map[string]bool{}
	for _, c := range []struct {
		ctx context.Context //nolint:containedctx // a row of a table
		r   idempotency.Request
	}{{r.ctx, request("k", "a")}, {other, request("k", "a")}, {r.ctx, elsewhere}, {r.ctx, request("l", "a")}} {
		a, replayed, err := r.Do(c.ctx, c.r, made)
		if err != nil || replayed {
			t.Errorf("replayed %v, %v", replayed, err)
		}
		locations[a.Location] = true
	}
	if len(locations) != 4 {
		t.Errorf("made %v", locations)
	}
	if _, _, err := r.Do(r.ctx, request("k", "b"), made); !fault.Is(err, fault.IdempotencyMismatch) {
		t.Errorf("another body: %v", err)
	}
	nobody := scope.With(t.Context(), scope.Scope{Tenant: uuid.New()})
	if _, _, err := r.Do(nobody, request("k", "a"), made); !fault.Is(err, fault.NotFound) {
		t.Errorf("a tenant that does not exist: %v", err)
	}
}

func TestFailuresFreeTheKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, code := range fault.Codes() {
		var first uuid.UUID
		_, _, err := r.Do(r.ctx, request(string(code), "a"), func(ctx context.Context) (idempotency.Answer, error) {
			first, _ = idempotency.ResourceID(ctx)
			return idempotency.Answer{}, fault.New(code, "told to fail")
		})
		if !fault.Is(err, code) {
			t.Fatalf("%s: %v", code, err)
		}
		unknown := []fault.Code{fault.Unavailable, fault.Timeout, fault.Cancelled, fault.Internal}
		if slices.Contains(unknown, code) {
			// How far it came is not known: the same request goes on with the same id, another one may not.
			if _, _, err := r.Do(r.ctx, request(string(code), "b"), made); !fault.Is(err, fault.IdempotencyMismatch) {
				t.Errorf("%s: another body gives %v", code, err)
			}
			a, replayed, err := r.Do(r.ctx, request(string(code), "a"), made)
			if err != nil || replayed || !strings.Contains(a.Location, first.String()) {
				t.Errorf("%s: the next try makes %s instead of %s (%v)", code, a.Location, first, err)
			}
		} else {
			if a, replayed, err := r.Do(r.ctx, request(string(code), "corrected"), made); err != nil || replayed || a.Status != 201 {
				t.Errorf("%s: a corrected request gives %+v, %v, %v", code, a, replayed, err)
			}
		}
	}
}

func TestPanicFreesTheKey(t *testing.T) {
	t.Parallel()
	r := start(t)
	var first uuid.UUID
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_, _, _ = r.Do(r.ctx, request("k", "a"), func(ctx context.Context) (idempotency.Answer, error) {
			first, _ = idempotency.ResourceID(ctx)
			panic("boom")
		})
	}()
	if a, _, err := r.Do(r.ctx, request("k", "a"), made); err != nil || !strings.Contains(a.Location, first.String()) {
		t.Errorf("after a panic: %+v, %v, want %s", a, err, first)
	}
}

// TestDeadHolder leaves a reservation as a process that was killed would, and lets its lock run out.
func TestDeadHolder(t *testing.T) {
	t.Parallel()
	r := start(t)
	holding, die := make(chan uuid.UUID), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, _, err := r.Do(r.ctx, request("k", "a"), func(ctx context.Context) (idempotency.Answer, error) {
			id, _ := idempotency.ResourceID(ctx)
			holding <- id
			<-die
			return idempotency.Answer{Status: 500}, nil
		})
		done <- err
	}()
	first := <-holding

	waiting, stop := context.WithTimeout(r.ctx, 100*time.Millisecond)
	defer stop()
	_, _, err := r.Do(waiting, request("k", "a"), made)
	var busy *fault.Error
	if !errors.As(err, &busy) || busy.Code != fault.IdempotencyBusy || busy.RetryAfter <= 0 {
		t.Errorf("while the first one works: %v", err)
	}
	if _, err := r.db.DB.Exec(r.ctx, `update idempotency_keys set locked_until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	a, replayed, err := r.Do(r.ctx, request("k", "a"), made)
	if err != nil || replayed || !strings.Contains(a.Location, first.String()) {
		t.Errorf("taken over: %+v, %v, want %s", a, err, first)
	}
	close(die) // the dead one was only slow: what it says now is not recorded
	if err := <-done; err != nil {
		t.Error(err)
	}
	if b, replayed, err := r.Do(r.ctx, request("k", "a"), made); err != nil || !replayed || !reflect.DeepEqual(a, b) {
		t.Errorf("replayed %+v, %v, %v, want %+v", b, replayed, err, a)
	}
}

// TestRefusalAfterATakeover keeps the id: the first holder may have made the thing, and the refusal may
// be because of it.
func TestRefusalAfterATakeover(t *testing.T) {
	t.Parallel()
	r := start(t)
	var ids []uuid.UUID
	for _, code := range []fault.Code{fault.Internal, fault.Conflict, ""} {
		_, _, _ = r.Do(r.ctx, request("k", "a"), func(ctx context.Context) (idempotency.Answer, error) {
			id, _ := idempotency.ResourceID(ctx)
			ids = append(ids, id)
			if code == "" {
				return made(ctx)
			}
			return idempotency.Answer{}, fault.New(code, "no")
		})
	}
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("the tries had the ids %v", ids)
	}
}

func TestConcludesAfterTheRequestEnded(t *testing.T) {
	t.Parallel()
	r := start(t)
	ctx, cancel := context.WithCancel(r.ctx)
	a, _, err := r.Do(ctx, request("k", "a"), func(ctx context.Context) (idempotency.Answer, error) {
		cancel()
		return made(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, replayed, err := r.Do(r.ctx, request("k", "a"), made); err != nil || !replayed || !reflect.DeepEqual(a, b) {
		t.Errorf("replayed %+v, %v, %v", b, replayed, err)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	r := start(t)
	var ids []uuid.UUID
	show := func(fail error) func(context.Context) error {
		return func(ctx context.Context) error {
			id, _ := idempotency.ResourceID(ctx)
			ids = append(ids, id)
			return fail
		}
	}
	if again, err := r.Resume(r.ctx, request("k", "a"), show(fault.New(fault.QuotaExceeded, "no"))); again || err == nil {
		t.Errorf("again %v, %v", again, err)
	}
	if again, err := r.Resume(r.ctx, request("k", "corrected"), show(nil)); again || err != nil {
		t.Errorf("after a refusal: again %v, %v", again, err)
	}
	if again, err := r.Resume(r.ctx, request("k", "corrected"), show(nil)); !again || err != nil {
		t.Errorf("the same again: %v, %v", again, err)
	}
	if _, err := r.Resume(r.ctx, request("k", "other"), show(nil)); !fault.Is(err, fault.IdempotencyMismatch) {
		t.Errorf("another body: %v", err)
	}
	if _, err := r.db.DB.Exec(r.ctx, `update idempotency_keys set locked_until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if again, err := r.Resume(r.ctx, request("k", "corrected"), show(fault.New(fault.Conflict, "no"))); !again || err == nil {
		t.Errorf("later: again %v, %v", again, err)
	}
	if again, err := r.Resume(r.ctx, request("k", "corrected"), show(nil)); !again || err != nil {
		t.Errorf("a refusal of a repeated request frees the key: again %v, %v", again, err)
	}
	if len(ids) != 5 || ids[0] == ids[1] || ids[1] != ids[2] || ids[2] != ids[3] || ids[3] != ids[4] {
		t.Errorf("ids %v", ids)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	r := start(t)
	other, _ := r.db.Tenant(t, "globex")
	for _, ctx := range []context.Context{r.ctx, other} {
		for _, key := range []string{"old", "new"} {
			if _, _, err := r.Do(ctx, request(key, "a"), made); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.db.DB.Exec(postgres.AsSystem(t.Context()),
		`update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'`); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Sweep(t.Context(), idempotency.Retention); n != 2 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if _, replayed, err := r.Do(r.ctx, request("new", "a"), made); !replayed || err != nil {
		t.Errorf("a young key is gone: %v", err)
	}
	if _, replayed, err := r.Do(r.ctx, request("old", "b"), made); replayed || err != nil {
		t.Errorf("an old key is left: %v", err)
	}
}

// A key that was never answered and that no sweep has removed does not give its old id to something new.
func TestKey_UnansweredAndExpired_GetsNewResourceID(t *testing.T) {
	t.Parallel()
	r := start(t)
	var ids []uuid.UUID
	unanswered := func(ctx context.Context) (idempotency.Answer, error) {
		id, _ := idempotency.ResourceID(ctx)
		ids = append(ids, id)
		return idempotency.Answer{}, errors.New("the database is away")
	}
	for _, age := range []string{"0 hours", "23 hours", "2 hours", "0 hours"} { // 23 + 2: beyond the retention
		if _, err := r.db.DB.Exec(r.ctx, `update idempotency_keys set created_at = created_at - $1::interval`, age); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Do(r.ctx, request("k", "a"), unanswered); err == nil {
			t.Fatal("no error")
		}
	}
	if ids[0] != ids[1] || ids[1] == ids[2] || ids[2] != ids[3] {
		t.Errorf("the resource ids are %v", ids)
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for key, ok := range map[string]bool{
		"": false, "a": true, strings.Repeat("~", 255): true, strings.Repeat("a", 256): false,
		"a b": false, "a\tb": false, "ä": false, "a\x7f": false, "!#{}": true, "a, b": false,
	} {
		if err := idempotency.CheckKey(key); (err == nil) != ok || err != nil && !fault.Is(err, fault.Malformed) {
			t.Errorf("%q: %v", key, err)
		}
	}
}
