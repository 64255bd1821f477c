package scope_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/scope"
)

func TestScopeTravelsInTheContext(t *testing.T) {
	t.Parallel()
	want := scope.Scope{Tenant: uuid.New(), Actor: "user:1", RequestID: "req-1"}
	ctx := scope.With(t.Context(), want)
	child, stop := context.WithCancel(ctx)
	stop()
	for name, ctx := range map[string]context.Context{"itself": ctx, "an ended child": child, "one without its cancel": context.WithoutCancel(child)} {
		if got := scope.From(ctx); got != want {
			t.Errorf("%s carries %+v, want %+v", name, got, want)
		}
		if got := scope.Tenant(ctx); got != want.Tenant {
			t.Errorf("%s carries the tenant %s, want %s", name, got, want.Tenant)
		}
	}
}

func TestWithoutAScopeThereIsNoTenant(t *testing.T) {
	t.Parallel()
	if got := scope.From(t.Context()); got != (scope.Scope{}) {
		t.Errorf("got %+v", got)
	}
	if got := scope.Tenant(t.Context()); got != uuid.Nil {
		t.Errorf("got the tenant %s", got)
	}
}

// A scope replaces the one above as a whole: nothing of the caller's shines through.
func TestTheInnermostScopeCounts(t *testing.T) {
	t.Parallel()
	outer := scope.With(t.Context(), scope.Scope{Tenant: uuid.New(), Actor: "user:1", RequestID: "req-1"})
	tenant := uuid.New()
	inner := scope.With(outer, scope.Scope{Tenant: tenant})
	if got, want := scope.From(inner), (scope.Scope{Tenant: tenant}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := scope.From(outer).Actor; got != "user:1" {
		t.Errorf("the outer context changed: its actor is %q", got)
	}
}

// A value under a key of the same shape is not ours.
func TestOtherValuesAreNotAScope(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, scope.Scope{Tenant: uuid.New()})
	if got := scope.Tenant(ctx); got != uuid.Nil {
		t.Errorf("got the tenant %s", got)
	}
}
