package connectors_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

func TestConnectorsAreToldInTheOrderOfRegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{"zulu", "alpha", "mike"}
	for _, name := range names {
		w.register(t, w.inline(name, nil))
	}
	w.announce(t, event.RunStarted, event.RunProgress, event.RunCompleted)
	var want []string
	for _, hook := range []string{"OnStart", "OnProgress", "OnComplete"} {
		for _, name := range names {
			want = append(want, name+" "+hook)
		}
	}
	if got := w.told(); !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	if len(w.deliveries()) != 0 {
		t.Errorf("inline connectors that succeed need no delivery, got %v", w.deliveries())
	}
}

func TestEveryTypeReachesItsMethodOrNone(t *testing.T) {
	t.Parallel()
	methods := map[event.Hook]string{
		event.HookStart: "OnStart", event.HookProgress: "OnProgress", event.HookComplete: "OnComplete", event.HookError: "OnError", event.HookCancel: "OnCancel",
	}
	for _, typ := range event.Types() {
		w := newWorld(t)
		w.register(t, w.inline("c", nil))
		w.announce(t, typ)
		var want []string
		if method := methods[typ.Hook()]; method != "" {
			want = []string{"c " + method}
		}
		if got := w.told(); !slices.Equal(got, want) {
			t.Errorf("%s: told %v, want %v", typ, got, want)
		}
	}
}

func TestAnInlineConnectorThatFailsIsDeliveredLater(t *testing.T) {
	t.Parallel()
	broken := errors.New("no disk")
	w := newWorld(t)
	w.register(t, w.inline("broken", func(context.Context) error { return broken }))
	w.register(t, w.inline("well", nil))
	e := w.announce(t, event.RunCompleted)[0]
	want := []connectors.Delivery{{TenantID: e.TenantID, RunID: e.RunID, Seq: e.Seq, Connector: "broken"}}
	if got := w.deliveries(); !slices.Equal(got, want) {
		t.Errorf("handed over %v, want %v", got, want)
	}
	if got, want := w.told(), []string{"broken OnComplete", "well OnComplete"}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v: a failure keeps nobody else from being told", got, want)
	}
	if got := w.attempts(); len(got) != 2 || !errors.Is(got[0].err, broken) || got[1].err != nil {
		t.Errorf("observed %+v", got)
	}
}

func TestAPanicIsAFailureLikeAnyOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, w.inline("mad", func(context.Context) error { panic("at the disco") }))
	w.register(t, w.inline("well", nil))
	w.announce(t, event.RunError)
	if got := w.deliveries(); len(got) != 1 || got[0].Connector != "mad" {
		t.Errorf("handed over %v", got)
	}
	if got, want := w.told(), []string{"mad OnError", "well OnError"}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	got := w.attempts()[0].err
	if got == nil || !strings.Contains(got.Error(), "connector mad panicked: at the disco") {
		t.Errorf("observed %v", got)
	}
}

func TestAnInlineConnectorHasOneSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.register(t, w.inline("stuck", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		began := time.Now()
		w.announce(t, event.RunStarted)
		if took := time.Since(began); took != connectors.InlineLimit {
			t.Errorf("the run was held up for %s", took)
		}
		if got := w.deliveries(); len(got) != 1 || got[0].Connector != "stuck" {
			t.Errorf("handed over %v", got)
		}
		if got := w.attempts(); len(got) != 1 || got[0].took != time.Second || !errors.Is(got[0].err, context.DeadlineExceeded) {
			t.Errorf("observed %+v", got)
		}
	})
}

func TestARemoteConnectorIsNamedAndNotCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, w.remote("declared", connectors.Remote))
	w.register(t, undeclared{w.inline("undeclared", nil)})
	e := w.announce(t, event.RunCancelled)[0]
	if got, want := w.registry.Remote(e), []string{"declared", "undeclared"}; !slices.Equal(got, want) {
		t.Errorf("the outbox is told %v, want %v", got, want)
	}
	if len(w.told())+len(w.deliveries()) != 0 {
		t.Errorf("called %v and handed over %v inside the run", w.told(), w.deliveries())
	}
}

func TestWhatNobodyWantsCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, mode := range map[string]connectors.Mode{"in": connectors.Inline, "out": connectors.Remote} {
		c := w.remote(name, mode)
		c.wants = func(e connectors.Event) bool { return e.Type == event.RunError }
		w.register(t, c)
	}
	for _, e := range w.announce(t, event.RunStarted, event.RunCompleted) {
		if got := w.registry.Remote(e); len(w.told())+len(got) != 0 {
			t.Errorf("told %v, for the outbox %v", w.told(), got)
		}
	}
	e := w.announce(t, event.RunError)[0]
	if got := w.told(); !slices.Equal(got, []string{"in OnError"}) {
		t.Errorf("told %v", got)
	}
	if got := w.registry.Remote(e); !slices.Equal(got, []string{"out"}) {
		t.Errorf("for the outbox %v", got)
	}
}

// The caller announces again: no connector may be left out because the one before it could not be handed over.
func TestAHandOverThatFailsIsReported(t *testing.T) {
	t.Parallel()
	away := errors.New("temporal is away")
	w := newWorld(t)
	w.refuse = func(d connectors.Delivery) error {
		if d.Connector == "first" {
			return away
		}
		return nil
	}
	broken := func(context.Context) error { return errors.New("no disk") }
	w.register(t, w.inline("first", broken))
	w.register(t, w.inline("second", broken))
	err := w.registry.Announce(t.Context(), w.event(event.RunCompleted))
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "run_completed to first") {
		t.Errorf("got %v", err)
	}
	if got := w.deliveries(); len(got) != 1 || got[0].Connector != "second" {
		t.Errorf("handed over %v", got)
	}
	w.refuse = nil
	w.announce(t, event.RunCompleted)
	if got := w.deliveries(); len(got) != 3 || got[1].Connector != "first" {
		t.Errorf("handed over %v", got)
	}
}

func TestNamesAreCheckedAndTakenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, w.inline("audit", nil))
	for name, want := range map[string]string{
		"audit": "registered already", "": "does not match", "Audit": "does not match", "9lives": "does not match", "a b": "does not match",
		"a:b": "does not match", strings.Repeat("a", 33): "does not match", "webhook\n": "does not match",
	} {
		err := w.registry.RegisterConnector(w.inline(name, nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the name %q: got %v, want an error with %q", name, err, want)
		}
	}
	for _, name := range []string{"a", "web_hook-2", strings.Repeat("a", 32)} {
		w.register(t, w.inline(name, nil))
	}
	w.announce(t, event.RunStarted)
	if got := len(w.told()); got != 4 {
		t.Errorf("%d connectors were told: one that was refused is in", got)
	}
}

func TestAttemptTellsTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var left time.Duration
	w.register(t, w.inline("other", nil))
	w.register(t, w.inline("named", func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return connectors.ErrRefused
	}))
	err := w.registry.Attempt(t.Context(), "named", w.event(event.RunCancelled), time.Minute)
	if !errors.Is(err, connectors.ErrRefused) {
		t.Errorf("got %v: the connector's own error must come through", err)
	}
	if left <= 50*time.Second || left > time.Minute {
		t.Errorf("the connector had %s", left)
	}
	if got := w.told(); !slices.Equal(got, []string{"named OnCancel"}) {
		t.Errorf("told %v", got)
	}
	if got := w.attempts(); len(got) != 1 || got[0].connector != "named" {
		t.Errorf("observed %+v", got)
	}
	if len(w.deliveries()) != 0 {
		t.Error("an attempt is made by a delivery and must not begin another one")
	}
}

func TestAttemptOfAnUnknownConnector(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, w.inline("known", nil))
	err := w.registry.Attempt(t.Context(), "unknown", w.event(event.RunStarted), time.Second)
	if !errors.Is(err, connectors.ErrUnknownConnector) || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("got %v", err)
	}
	if len(w.told())+len(w.attempts()) != 0 {
		t.Error("somebody was told all the same")
	}
}

func TestTheIdempotencyKeyIsOfEventAndConnector(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	e := w.event(event.RunStarted)
	if got, want := e.IdempotencyKey("webhook"), e.RunID.String()+":1:webhook"; got != want {
		t.Errorf("the key is %q, want %q", got, want)
	}
	if w.event(event.RunStarted).IdempotencyKey("webhook") == e.IdempotencyKey("webhook") {
		t.Error("two events share a key")
	}
}

// Runs share the registry: -race watches.
func TestManyRunsAnnounceAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, w.inline("c", nil))
	const runs = 50
	failed := make(chan error, runs)
	for range runs {
		e := w.event(event.RunStarted)
		go func() { failed <- w.registry.Announce(t.Context(), e) }()
	}
	for range runs {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if len(w.told()) != runs {
		t.Errorf("told %d, want %d", len(w.told()), runs)
	}
}

func TestAFailureIsLoggedWithItsRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w := newWorld(t)
	registry := connectors.NewRegistry(w, w, slog.New(slog.NewTextHandler(&out, nil)))
	if err := registry.RegisterConnector(w.inline("broken", func(context.Context) error { return errors.New("no disk") })); err != nil {
		t.Fatal(err)
	}
	e := w.event(event.RunStarted)
	if err := registry.Announce(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"connector=broken", "run_id=" + e.RunID.String(), "no disk"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the log does not say %s: %s", part, out.String())
		}
	}
}
