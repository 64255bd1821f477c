package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/devstack"
)

const (
	// restartPause is what lies between the death of the worker and its successor, as under an orchestrator.
	restartPause = 2 * time.Second
	readyWithin  = 30 * time.Second
)

// split runs API and worker as processes of their own, which is how production runs them. A worker that
// dies is started again; the API's death ends everything.
func (d Development) split(ctx context.Context, cfg config.Config, ready func(apiURL string)) error {
	ctx, stop := context.WithCancelCause(ctx)
	var children sync.WaitGroup
	defer children.Wait()
	defer stop(nil)
	children.Go(func() { stop(d.child(ctx, cfg, "api", "")) })
	children.Go(func() {
		for ctx.Err() == nil {
			err := d.child(ctx, cfg, "worker", "LARI_ADMIN_ADDR=off")
			if ctx.Err() != nil {
				return
			}
			_, _ = fmt.Fprintf(d.Out, "%v\nThe worker is started again in %s.\n", err, restartPause)
			pause(ctx, restartPause)
		}
	})
	if err := awaitReady(ctx, "http://"+cfg.HTTPAddr); err != nil {
		return cmp.Or(context.Cause(ctx), err) // an API that died says more than our waiting for it
	}
	ready("http://" + cfg.HTTPAddr)
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// child runs this program in a role until ctx ends (nil) or it dies.
func (d Development) child(ctx context.Context, cfg config.Config, role, extra string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	p, err := devstack.StartProcess(devstack.ProcessSpec{
		Name: role, Path: self, Args: []string{role}, Env: childEnvironment(cfg, extra),
		LogDir: filepath.Join(cfg.DataDir, "logs"), Stop: cfg.Limits.ShutdownTimeout + 5*time.Second,
	})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.Out, "lari %s runs as process %d, its log is %s.\n", role, p.Pid(), p.LogPath())
	select {
	case <-ctx.Done():
		p.Close()
		return nil
	case <-p.Exited():
		return fmt.Errorf("lari %s ended: %s", role, p.Ending())
	}
}

// childEnvironment hands the child what was prepared here beside what we were given.
func childEnvironment(cfg config.Config, extra string) []string {
	networks := make([]string, 0, len(cfg.EgressAllow))
	for _, n := range cfg.EgressAllow {
		networks = append(networks, n.String())
	}
	env := append(os.Environ(),
		"LARI_ENV="+string(cfg.Env), "LARI_HTTP_ADDR="+cfg.HTTPAddr, "LARI_DATA_DIR="+cfg.DataDir,
		"DATABASE_URL="+cfg.DatabaseURL.Reveal(), "DATABASE_DIRECT_URL="+cfg.DatabaseDirectURL.Reveal(),
		"TEMPORAL_ADDRESS="+cfg.Temporal.Address, "LARI_TEMPORAL_UI_URL="+cfg.Temporal.UIURL,
		"LARI_CALLBACK_URL="+cfg.Reconcile.CallbackURL.Reveal(), "LARI_CALLBACK_SECRET="+cfg.Reconcile.CallbackSecret.Reveal(),
		"LARI_AUDIT_SIGNING_KEY="+cfg.Audit.SigningKey.Reveal(),
		"SUPABASE_JWT_SECRET="+cfg.Auth.JWTSecret.Reveal(),
		"LARI_EGRESS_ALLOW="+strings.Join(networks, ","), fmt.Sprintf("LARI_EGRESS_ALLOW_HTTP=%t", cfg.EgressAllowHTTP))
	if extra != "" {
		env = append(env, extra)
	}
	return env
}

// awaitReady returns when the API says that it can work.
func awaitReady(ctx context.Context, url string) error {
	ctx, stop := context.WithTimeout(ctx, readyWithin)
	defer stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("the API at %s was not ready within %s", url, readyWithin)
		}
	}
}

// pause waits; it reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
