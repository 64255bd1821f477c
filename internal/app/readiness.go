package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larirun/lari/api"
	"github.com/larirun/lari/internal/platform/postgres"
)

const (
	readyMemory   = time.Second            // for how long a good answer is given again
	unreadyMemory = 100 * time.Millisecond // and a bad one
	checkLimit    = 1900 * time.Millisecond
)

// sharedCheck runs a check once for all who ask at the same time, and remembers its answer for a moment: probes come
// from many sides and must not become a load.
type sharedCheck struct {
	run func(ctx context.Context) error

	turn  chan struct{} // holds one while the check runs: whoever comes meanwhile waits for the answer
	until time.Time
	err   error
}

func newSharedCheck(run func(ctx context.Context) error) *sharedCheck {
	return &sharedCheck{run: run, turn: make(chan struct{}, 1)}
}

// Check returns the answer of the last moment or a new one. It takes at most about two seconds.
func (c *sharedCheck) Check(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if time.Now().Before(c.until) {
		return c.err
	}
	// The answer is for others too: it does not depend on how long this one stays.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), checkLimit)
	defer stop()
	c.err = c.run(ctx)
	c.until = time.Now().Add(readyMemory)
	if c.err != nil {
		c.until = time.Now().Add(unreadyMemory)
	}
	return c.err
}

// readinessChecks are what the process needs to do its work.
func (a *App) readinessChecks() []api.Check {
	var checks []api.Check
	for _, c := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"postgres", a.checkPostgres}, {"migrations", a.migrated}, {"temporal", a.engine.Ready},
	} {
		checks = append(checks, api.Check{Name: c.name, Run: newSharedCheck(c.run).Check})
	}
	return checks
}

// checkPostgres tries what requests and streams need: a tenant's transaction and a notification. Before the migrations
// there is no tenant; that they are missing is another check.
func (a *App) checkPostgres(ctx context.Context) error {
	if err := a.DB.Ping(ctx); err != nil {
		return err
	}
	if a.migrated(ctx) == nil {
		if err := a.DB.CheckTenant(ctx); err != nil {
			return err
		}
		return a.probe.RoundTrip(ctx, a.DB)
	}
	return nil
}

// Ready reports whether the process can do its work.
func (a *App) Ready(ctx context.Context) error {
	var failed []error
	for _, c := range a.checks {
		failed = append(failed, c.Run(ctx))
	}
	return errors.Join(failed...)
}

// CheckSession tries the addresses of the database and names the setting that does not do.
func CheckSession(ctx context.Context, direct, url string) error {
	err := postgres.CheckSession(ctx, direct, url)
	switch {
	case errors.Is(err, postgres.ErrTransactionPooler) && direct == url:
		return fmt.Errorf("DATABASE_URL cannot be used alone: %w. Set DATABASE_DIRECT_URL to an address that leads to Postgres itself, or to a session pooler; "+
			"DATABASE_URL may then stay as it is", err)
	case errors.Is(err, postgres.ErrTransactionPooler):
		return fmt.Errorf("DATABASE_DIRECT_URL cannot be used: %w. It must lead to Postgres itself, or to a session pooler", err)
	case errors.Is(err, postgres.ErrOtherDatabase):
		return fmt.Errorf("DATABASE_DIRECT_URL and DATABASE_URL do not fit: %w", err)
	}
	return err
}

// unusable reports whether waiting does not mend the addresses of the database.
func unusable(err error) bool {
	return errors.Is(err, postgres.ErrTransactionPooler) || errors.Is(err, postgres.ErrOtherDatabase)
}

// checkSession tries the addresses of the database once; later is what is left to do when nobody answers now.
func (a *App) checkSession(ctx context.Context) (later func(ctx context.Context) error, err error) {
	direct, url := a.cfg.DatabaseDirectURL.Reveal(), a.cfg.DatabaseURL.Reveal()
	err = CheckSession(ctx, direct, url)
	if err == nil || unusable(err) {
		return func(context.Context) error { return nil }, err
	}
	return func(ctx context.Context) (verdict error) {
		a.insist(ctx, "the connections to the database cannot be tried yet", func() error {
			err := CheckSession(ctx, direct, url)
			if unusable(err) {
				verdict = err
				return nil
			}
			return err
		})
		return verdict
	}, nil
}
