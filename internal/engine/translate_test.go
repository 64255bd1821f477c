package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/larirun/lari/internal/platform/fault"
)

// A server that is away is unavailable and worth another try; what is our own mistake is not.
func TestTranslate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code fault.Code
	}{
		"away":               {serviceerror.NewUnavailable("connection refused to 10.0.0.1"), fault.Unavailable},
		"late":               {serviceerror.NewDeadlineExceeded("late"), fault.Unavailable},
		"cancelled there":    {serviceerror.NewCanceled("cancelled"), fault.Unavailable},
		"busy":               {serviceerror.NewResourceExhausted(0, "busy"), fault.Unavailable},
		"late here":          {context.DeadlineExceeded, fault.Unavailable},
		"cancelled here":     {context.Canceled, fault.Unavailable},
		"wrapped":            {fmt.Errorf("start: %w", serviceerror.NewUnavailable("away")), fault.Unavailable},
		"no such namespace":  {serviceerror.NewNamespaceNotFound("x"), fault.Unavailable},
		"a wrong request":    {serviceerror.NewInvalidArgument("secret attribute"), fault.Internal},
		"anything else":      {serviceerror.NewPermissionDenied("no", ""), fault.Internal},
		"a missing workflow": {serviceerror.NewNotFound("x"), fault.Internal},
	} {
		got := translate(c.err)
		if fault.CodeOf(got) != c.code || !errors.Is(got, c.err) {
			t.Errorf("%s: %v, want code %s around %v", name, got, c.code, c.err)
		}
		var f *fault.Error
		if errors.As(got, &f) {
			if (f.RetryAfter > 0) != (c.code == fault.Unavailable) {
				t.Errorf("%s: retry after %s", name, f.RetryAfter)
			}
			if strings.Contains(f.Detail, "10.0.0.1") || strings.Contains(f.Detail, "secret") {
				t.Errorf("%s: the detail shows the cause: %s", name, f.Detail)
			}
		}
	}
	if translate(nil) != nil {
		t.Error("no error became one")
	}
	if ignoreEnded(fmt.Errorf("cancel: %w", serviceerror.NewNotFound("gone"))) != nil {
		t.Error("a run that has ended cannot be told anything, and need not")
	}
	if !fault.Is(ignoreEnded(serviceerror.NewUnavailable("away")), fault.Unavailable) {
		t.Error("a server that is away is not a run that has ended")
	}
}

// The SDK gives a request half of its context's time: the deadline that it sees lies twice as far away.
func TestLimited(t *testing.T) {
	t.Parallel()
	ctx, stop := limited(t.Context())
	deadline, ok := ctx.Deadline()
	if left := time.Until(deadline); !ok || left <= callLimit || left > 2*callLimit {
		t.Errorf("the call has %s", left)
	}
	stop()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("after stop: %v", ctx.Err())
	}
}
