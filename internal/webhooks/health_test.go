package webhooks_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/webhooks"
)

func (w *world) withoutCancel(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

func (w *world) target(ctx context.Context, t *testing.T, id uuid.UUID) webhooks.Target {
	t.Helper()
	target, err := w.Target(ctx, id)
	must(t, err)
	return target
}

func TestThreeDaysOfFailingDisable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	e, _ := w.create(ctx, t, webhooks.NewEndpoint{})
	fail := func() webhooks.Endpoint {
		w.Failed(ctx, w.target(ctx, t, e.ID))
		now, err := w.Find(ctx, e.ID)
		must(t, err)
		return now
	}
	if now := fail(); now.FailingSince == nil || now.Status != webhooks.Enabled {
		t.Errorf("after one failure: %+v", now)
	}
	w.age(t, e.ID, 71*time.Hour)
	if now := fail(); now.Status != webhooks.Enabled {
		t.Errorf("after 71 hours: %+v", now)
	}
	w.Succeeded(ctx, w.target(ctx, t, e.ID))
	if now := fail(); now.Status != webhooks.Enabled || time.Since(now.FailingSince.Time) > time.Hour {
		t.Errorf("a success did not end the time of failing: %+v", now)
	}
	w.age(t, e.ID, 73*time.Hour)
	w.broken = true
	if now := fail(); now.Status != webhooks.Enabled {
		t.Errorf("disabled without a trace: %+v", now)
	}
	w.broken = false
	for range 2 { // two attempts may see it at once
		if now := fail(); now.Status != webhooks.Disabled || !strings.HasPrefix(now.DisabledReason, "It has failed since 20") {
			t.Errorf("after 73 hours: %+v", now)
		}
	}
	if len(w.trail) != 1 || !strings.HasPrefix(w.trail[0], e.ID.String()+" It has failed since") {
		t.Errorf("the trail is %q", w.trail)
	}
	wantCode(t, w.CheckEnabled(ctx, e.ID), fault.Conflict)
	again, err := w.Enable(ctx, e.ID)
	must(t, err)
	if again.Status != webhooks.Enabled || again.FailingSince != nil || again.DisabledReason != "" || again.DisabledAt != nil {
		t.Errorf("enabled again: %+v", again)
	}
	if now := fail(); now.Status != webhooks.Enabled {
		t.Errorf("enabled, and disabled by one failure: %+v", now)
	}
	must(t, w.CheckEnabled(ctx, e.ID))
}

func TestGoneDisables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	e, _ := w.create(ctx, t, webhooks.NewEndpoint{})
	w.Gone(ctx, w.target(ctx, t, e.ID))
	now, err := w.Find(ctx, e.ID)
	must(t, err)
	if now.Status != webhooks.Disabled || now.DisabledReason != "The receiver answered 410 Gone." || now.DisabledAt == nil {
		t.Errorf("after 410: %+v", now)
	}
	if w.target(ctx, t, e.ID).Disabled != now.DisabledReason || len(w.trail) != 1 {
		t.Errorf("the trail is %q", w.trail)
	}
	// Whoever disables it once more does not change why.
	again, err := w.Disable(ctx, e.ID)
	must(t, err)
	if again.DisabledReason != now.DisabledReason {
		t.Errorf("the reason is %q", again.DisabledReason)
	}
}

func TestAnotherTenantsEndpointsAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.tenant(t, "one"), w.tenant(t, "two")
	e, secret := w.create(one, t, webhooks.NewEndpoint{})
	for name, act := range map[string]func() error{
		"find":    func() error { _, err := w.Find(two, e.ID); return err },
		"target":  func() error { _, err := w.Target(two, e.ID); return err },
		"update":  func() error { _, err := w.Update(two, e.ID, webhooks.Update{}); return err },
		"delete":  func() error { return w.Delete(two, e.ID) },
		"enable":  func() error { _, err := w.Enable(two, e.ID); return err },
		"disable": func() error { _, err := w.Disable(two, e.ID); return err },
		"rotate":  func() error { _, _, err := w.RotateSecret(two, e.ID, webhooks.Rotation{}); return err },
		"create": func() error {
			_, _, err := w.Create(two, webhooks.NewEndpoint{ID: e.ID, URL: "https://example.com/", Events: e.Events})
			return err
		},
	} {
		if err := act(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.Gone(two, w.target(one, t, e.ID))
	if target := w.target(one, t, e.ID); target.Disabled != "" || !slices.Equal(target.Secrets, []string{secret}) {
		t.Errorf("it was changed: %+v", target)
	}
}
