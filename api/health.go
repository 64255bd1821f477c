package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// Check is one thing that the process needs to do its work.
type Check struct {
	Name    string
	Timeout time.Duration // zero: 2 s
	Run     func(ctx context.Context) error
}

type alive struct {
	Status string `json:"status" example:"alive"`
}

type readiness struct {
	Status string      `json:"status" enum:"ready,unavailable"`
	Checks []checkView `json:"checks"`
}

type checkView struct {
	Name   string `json:"name" example:"postgres"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty" description:"Why it is not ok"`
}

// Respond makes an unready answer a 503.
func (r readiness) Respond(h *Head) {
	h.Set("Cache-Control", "no-store")
	if r.Status != "ready" {
		h.Status = 503
		h.Set("Retry-After", "2")
	}
}

func healthRoutes(checks []Check, log *slog.Logger) []Route {
	return []Route{
		Handle("GET", "/healthz", auth.Public,
			Meta{ID: "getHealth", Tag: "health", Summary: "Is the process alive?"},
			func(context.Context, *None) (alive, error) { return alive{Status: "alive"}, nil }),
		Handle("GET", "/readyz", auth.Public,
			Meta{
				ID: "getReadiness", Tag: "health", Summary: "Can the process do its work?", Also: []int{503},
				Description: "Names everything that it needs and what is missing; 503 when something is.",
			},
			func(ctx context.Context, _ *None) (readiness, error) { return runChecks(ctx, checks, log), nil }),
	}
}

// runChecks runs all checks at once, each within its time, and keeps their order. A check that does not
// end with its context is left behind and counts as failed.
func runChecks(ctx context.Context, checks []Check, log *slog.Logger) readiness {
	out := readiness{Status: "ready", Checks: make([]checkView, len(checks))}
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() {
			out.Checks[i] = checkView{Name: c.Name, OK: true}
			if err := runCheck(ctx, c); err != nil {
				log.WarnContext(ctx, "not ready", "check", c.Name, "error", err)
				out.Checks[i].OK, out.Checks[i].Detail = false, checkDetail(err)
			}
		})
	}
	all.Wait()
	for _, c := range out.Checks {
		if !c.OK {
			out.Status = "unavailable"
		}
	}
	return out
}

func runCheck(ctx context.Context, c Check) error {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = 2 * time.Second
	}
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	result := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				result <- newPanicError(r)
			}
		}()
		result <- c.Run(ctx)
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkDetail shows what is meant to be shown: readiness is public, and causes name hosts and users.
func checkDetail(err error) string {
	var f *fault.Error
	switch {
	case errors.As(err, &f) && f.Code != fault.Internal:
		return f.Detail
	case errors.Is(err, context.DeadlineExceeded):
		return "It did not answer in time."
	}
	return "It failed; the log says why."
}
