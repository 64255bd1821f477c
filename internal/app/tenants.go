package app

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/runs"
	"github.com/larirun/lari/internal/tenants"
)

// joinDeletions makes what erases tenants, once runs and the audit trail are there.
func (a *App) joinDeletions() error {
	folder := a.cfg.ExportDir
	if folder == "" {
		folder = filepath.Join(a.cfg.DataDir, "exports")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("find the folder of exports: %w", err)
	}
	a.Deletion = tenants.NewDeletions(tenants.DeletionDeps{
		DB: a.DB, Engine: a.engine, Runs: deletionRuns{a.Runs}, Auditor: deletionAuditor{a.audit, a.anchors}, ExportDir: folder, Logger: a.log,
	})
	return nil
}

// runKeys remembers API keys for requests, writes down which were used, and hears which hold no more.
func (a *App) runKeys(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error {
		a.Tenants.RunKeyUses(ctx, a.log)
		return nil
	})
	group.Go(func() error {
		postgres.Listener{
			URL: a.cfg.DatabaseDirectURL.Reveal(), Channel: tenants.KeyChannel, Connected: a.apiKeys.ForgetAll, Disconnected: func() {}, Log: a.log,
			Notified: func(prefix string) {
				if prefix == "" {
					a.apiKeys.ForgetAll()
					return
				}
				a.apiKeys.Forget(prefix)
			},
		}.Run(ctx)
		return nil
	})
}

func (a *App) newKeys() (*auth.Keys, error) {
	keys, err := auth.NewKeys(a.Tenants)
	if err == nil {
		keys.Used = a.Tenants.KeyUsed
	}
	return keys, err
}

// deletionRuns shows runs to the deletion of their tenant.
type deletionRuns struct{ runs *runs.Service }

func (p deletionRuns) StopRuns(ctx context.Context, until time.Time, reason string) (left int, err error) {
	active := runs.Filter{Status: []runs.Status{runs.Queued, runs.Running, runs.Waiting}}
	for next := (page.Request{Limit: page.MaxLimit}); ; {
		found, err := p.runs.FindAll(ctx, active, next)
		if err != nil {
			return left, err
		}
		for _, r := range found.Items {
			if time.Now().After(until) {
				return left + 1, nil
			}
			if r.Cancel == nil {
				if r, err = p.runs.Cancel(ctx, r.ID, reason); fault.Is(err, fault.RunFinal) || fault.Is(err, fault.NotFound) {
					continue
				} else if err != nil {
					return left, err
				}
			}
			if !r.Status.Final() {
				left++
			}
		}
		if found.NextCursor == nil {
			return left, nil
		}
		next.Cursor = *found.NextCursor
	}
}

// deletionAuditor shows the audit trail to the deletion of its tenant.
type deletionAuditor struct {
	audit   *audit.Service
	anchors *audit.Anchors // nil: nothing is signed
}

func (p deletionAuditor) LogErased(ctx context.Context) error {
	if p.anchors == nil {
		return nil
	}
	return p.anchors.SignTombstones(ctx)
}

func (p deletionAuditor) DeletionBegan(ctx context.Context, d tenants.Deletion) error {
	data, err := json.Marshal(map[string]any{"deletion_id": d.ID, "requested_by": d.RequestedBy, "export": d.Export})
	if err != nil {
		return fmt.Errorf("encode the deletion: %w", err)
	}
	return p.audit.Append(ctx, audit.Entry{
		Key: "tenant:deletion:" + d.ID.String(), At: d.EraseAt, Actor: "system", Action: "tenant.erase", ResourceType: "tenant",
		ResourceID: d.TenantID.String(), Outcome: "success", RequestID: d.ID.String(), Data: data,
	})
}
