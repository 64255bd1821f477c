package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Anchors signs where the logs of tenants stand and writes it to places outside of the database.
type Anchors struct {
	signer *Signer
	file   *FileLog // nil: none; Verify holds logs against it
	logs   []AnchorLog
	store  store
	log    *slog.Logger
}

// NewAnchors makes the service; file may be nil.
func NewAnchors(db *postgres.DB, signer *Signer, file *FileLog, log *slog.Logger, others ...AnchorLog) *Anchors {
	a := &Anchors{signer: signer, file: file, store: store{db}, log: log}
	if file != nil {
		a.logs = append(a.logs, file)
	}
	a.logs = append(a.logs, others...)
	return a
}

const (
	anchorPage  = 500
	anchorLimit = 5 * time.Minute
)

// Run makes a pass at once and then one every so often, until ctx ends.
func (a *Anchors) Run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := a.Pass(ctx); err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "the heads of audit logs could not be anchored", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Pass signs tombstones and writes to each log what it does not know yet: heads that moved, and logs that were erased.
func (a *Anchors) Pass(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, anchorLimit)
	defer stop()
	system := postgres.AsSystem(scope.With(ctx, scope.Scope{Actor: "system"}))
	failed := a.SignTombstones(ctx)
	for _, find := range []func(context.Context, uuid.UUID, int) ([]Anchor, error){a.store.heads, a.store.tombstones} {
		for after := uuid.Nil; ; {
			page, err := find(system, after, anchorPage)
			if err != nil {
				return errors.Join(failed, err)
			}
			failed = errors.Join(failed, a.write(system, page))
			if len(page) < anchorPage {
				break
			}
			after = page[len(page)-1].TenantID
		}
	}
	return failed
}

// write writes to each log those of a page that it does not know. A head whose log no longer holds the last anchor is not
// anchored again: that would cover up what the anchor shows.
func (a *Anchors) write(ctx context.Context, page []Anchor) (failed error) {
	for _, to := range a.logs {
		var news, before []Anchor
		for _, head := range page {
			known, ok := to.Latest(head.TenantID)
			switch {
			case ok && known.Kind == head.Kind && known.Position == head.Position && bytes.Equal(known.Hash, head.Hash):
				continue
			case ok && known.Kind == KindHead && head.Kind == KindHead:
				before = append(before, known)
			}
			if head.Kind == KindHead {
				head.At = clock.Now()
			}
			news = append(news, a.signer.Sign(head))
		}
		held, err := a.store.holds(ctx, before)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, known := range before {
			if !held[known.TenantID] {
				failed = errors.Join(failed, fmt.Errorf("the audit log of tenant %s no longer holds the row at position %d that was anchored", known.TenantID, known.Position))
				news = slices.DeleteFunc(news, func(n Anchor) bool { return n.TenantID == known.TenantID })
			}
		}
		if len(news) > 0 {
			failed = errors.Join(failed, to.Write(ctx, news))
		}
	}
	return failed
}

// SignTombstones signs those that are not, of every tenant that was erased.
func (a *Anchors) SignTombstones(ctx context.Context) error {
	ctx = postgres.AsSystem(scope.With(ctx, scope.Scope{Actor: "system"}))
	unsigned, err := a.store.unsignedTombstones(ctx, anchorPage)
	if err != nil {
		return err
	}
	for _, t := range unsigned {
		if err := a.store.signTombstone(ctx, a.signer.Sign(t)); err != nil {
			return err
		}
	}
	return nil
}

// latest returns what the file has of the tenant; nil when there is none.
func (a *Anchors) latest(tenant uuid.UUID) (*Anchor, error) {
	if a == nil || a.file == nil {
		return nil, nil
	}
	if err := a.file.Refresh(); err != nil {
		return nil, err
	}
	if found, ok := a.file.Latest(tenant); ok {
		return &found, nil
	}
	return nil, nil
}
