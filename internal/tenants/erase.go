package tenants

import (
	"context"
	"slices"
	"time"

	"github.com/larirun/lari/internal/platform/postgres"
)

const (
	// parents is how many parents one statement looks for rows below.
	parents    = 200
	erasePause = time.Second
)

// erase removes rows in bounded batches, table by table, over and over until a pass over all tables finds
// nothing: what a last activity wrote behind it is found by the next pass. Then the tenant's own row goes.
func (s *Deletions) erase(ctx context.Context, d Deletion, until time.Time) (time.Duration, error) {
	all := tables()
	at := max(slices.IndexFunc(all, func(t table) bool { return t.name == d.step.Table }), 0)
	for ; at < len(all); at++ {
		if all[at].guard == last {
			continue
		}
		if all[at].name != d.step.Table {
			d.step = step{Table: all[at].name, Removed: d.step.Removed}
		}
		for {
			if time.Now().After(until) {
				return 0, nil
			}
			done, err := s.eraseBatch(ctx, &d, all[at])
			if err != nil {
				return 0, err
			}
			if done {
				break
			}
		}
	}
	if d.step.Removed > 0 {
		return 0, s.store.putStep(ctx, d.ID, Erasing, step{})
	}
	return s.eraseTenant(ctx, d)
}

// eraseBatch removes some rows of a table and writes down how many, in one transaction.
func (s *Deletions) eraseBatch(ctx context.Context, d *Deletion, t table) (done bool, err error) {
	next := d.step
	err = s.DB.Tx(ctx, func(ctx context.Context) error {
		next = d.step
		var n int64
		switch {
		case t.guard == trail:
			n, err = s.store.eraseTrail(ctx, d.TenantID, s.Batch)
			done = n < int64(s.Batch)
		case t.parent != "":
			var lastParent string
			n, lastParent, err = s.store.eraseBelow(ctx, t, d.TenantID, d.step.After, parents, s.Batch)
			done = lastParent == "" // no parent is left
			if n < int64(s.Batch) && !done {
				next.After = lastParent
			}
		default:
			n, err = s.store.eraseRows(ctx, t, d.TenantID, s.Batch)
			done = n < int64(s.Batch)
		}
		if err != nil {
			return err
		}
		next.Removed += n
		return s.store.putErased(ctx, d.ID, t.name, n, next)
	})
	if err == nil {
		d.step = next
	}
	return done, err
}

// eraseTenant removes what is left: the end of the audit trail, which the record of the deletion keeps, and
// the tenant. Whatever still refers to it, written since the last pass, sends the deletion over all tables
// again.
func (s *Deletions) eraseTenant(ctx context.Context, d Deletion) (time.Duration, error) {
	err := s.DB.Tx(ctx, func(ctx context.Context) error {
		if _, err := s.store.lockTenant(ctx, d.TenantID); err != nil {
			return err
		}
		for {
			n, err := s.store.eraseTrail(ctx, d.TenantID, s.Batch)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if err := s.store.putErased(ctx, d.ID, "audit_logs", n, step{}); err != nil {
				return err
			}
		}
		return s.store.finishDeletion(ctx, d.ID, d.TenantID, now())
	})
	if postgres.ForeignKeyViolation(err) != "" {
		return erasePause, s.store.putStep(ctx, d.ID, Erasing, step{})
	}
	if err == nil {
		if err := s.Auditor.LogErased(ctx); err != nil {
			s.Logger.WarnContext(ctx, "the tombstone of an audit log is not signed yet", "tenant_id", d.TenantID, "error", err)
		}
	}
	return 0, err
}
