package tenants

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// DeletionEngine executes deletions durably, and ends what the engine does for a tenant.
type DeletionEngine interface {
	// StartDeletion begins the workflow that calls Advance until the deletion is over; one that was begun
	// before is no error.
	StartDeletion(ctx context.Context, tenant, deletion uuid.UUID) error
	// HurryDeletion lets the workflow look at once; one that has ended is no error.
	HurryDeletion(ctx context.Context, tenant uuid.UUID) error
	// EndSchedules removes the tenant's schedules.
	EndSchedules(ctx context.Context, tenant uuid.UUID) error
	// EndWorkflows ends what is open of the tenant but the deletion itself, until the time given, and returns how many
	// that were (at least one when it did not get to all).
	EndWorkflows(ctx context.Context, tenant uuid.UUID, until time.Time) (int, error)
}

// DeletionRuns stops the runs of the context's tenant.
type DeletionRuns interface {
	// StopRuns asks every run that has not ended to stop, until the time given, and gives how many have not
	// ended yet (at least one when it did not get to all).
	StopRuns(ctx context.Context, until time.Time, reason string) (left int, err error)
}

// DeletionAuditor keeps what a deletion does in the trail of the context's tenant, for good when it returns.
type DeletionAuditor interface {
	DeletionBegan(ctx context.Context, d Deletion) error
	// LogErased signs the tombstone that the log of a tenant left. One that is not signed now is signed later.
	LogErased(ctx context.Context) error
}

// DeletionDeps is what Deletions works with.
type DeletionDeps struct {
	DB        *postgres.DB
	Engine    DeletionEngine
	Runs      DeletionRuns
	Auditor   DeletionAuditor
	ExportDir string // the folder of all exports, the same for every worker
	Logger    *slog.Logger
	// StopWithin is how long runs may take to stop before their workflows are ended; zero: two minutes.
	StopWithin time.Duration
	// Slice is how long one Advance works at most, more or less; zero: ten seconds.
	Slice time.Duration
	// Batch is how many rows one statement erases, or one page of an export holds; zero: 1000.
	Batch int
}

// Deletions erases tenants. A deletion is a row that outlives its tenant; what drives it is a workflow that
// calls Advance until it is over.
type Deletions struct {
	DeletionDeps
	store store
}

// NewDeletions makes the service.
func NewDeletions(d DeletionDeps) *Deletions {
	d.StopWithin = cmp.Or(d.StopWithin, 2*time.Minute)
	d.Slice = cmp.Or(d.Slice, 10*time.Second)
	d.Batch = cmp.Or(d.Batch, 1000)
	return &Deletions{DeletionDeps: d, store: store{d.DB}}
}

// Request begins the deletion of the context's tenant: from now on it begins no runs and its keys do not
// hold; the rest follows when the grace period is over. One that was asked for before is given as it is.
func (s *Deletions) Request(ctx context.Context, r DeletionRequest) (d Deletion, err error) {
	caller, system := scope.From(ctx), postgres.AsSystem(ctx)
	err = s.DB.Tx(system, func(ctx context.Context) error {
		t, err := s.store.lockTenant(ctx, caller.Tenant)
		if err != nil {
			return err
		}
		known, found, err := s.store.openDeletion(ctx, caller.Tenant)
		if err != nil || found {
			d = known
			return err
		}
		at := now()
		d = Deletion{
			ID: newID(), TenantID: t.ID, Slug: t.Slug, Name: t.Name, Phase: Waiting, Reason: r.Reason, RequestedBy: caller.Actor, RequestedAt: at,
			EraseAt: at.Add(r.Grace), Export: r.Export, Tables: []TableCount{},
		}
		if err := s.store.insertDeletion(ctx, d, t); err != nil {
			return err
		}
		reason := fmt.Sprintf("It will be erased from %s on.", d.EraseAt.Format("2006-01-02T15:04:05Z"))
		if d.Reason != "" {
			reason = d.Reason + " " + reason
		}
		if err := s.store.markDeleting(ctx, t.ID, reason, at); err != nil {
			return err
		}
		return s.store.tellKeys(ctx)
	})
	if err != nil {
		return Deletion{}, err
	}
	if err := s.Engine.StartDeletion(ctx, d.TenantID, d.ID); err != nil {
		// It is recorded: RunStarter begins it when the engine is there.
		s.Logger.WarnContext(ctx, "the deletion of a tenant does not begin yet", "tenant_id", d.TenantID, "error", err)
	}
	return d, nil
}

// Find gives the last deletion of the context's tenant, also when that is gone.
func (s *Deletions) Find(ctx context.Context) (Deletion, error) {
	d, found, err := s.store.lastDeletion(postgres.AsSystem(ctx), scope.Tenant(ctx))
	if err == nil && !found {
		err = fault.New(fault.NotFound, "The tenant has no deletion.")
	}
	return d, err
}

// Cancel takes a deletion back while its grace period lasts; the tenant is then what it was before. One that
// was cancelled before is given as it is; fault.Conflict when it has begun.
func (s *Deletions) Cancel(ctx context.Context) (d Deletion, err error) {
	caller := scope.From(ctx)
	err = s.DB.Tx(postgres.AsSystem(ctx), func(ctx context.Context) error {
		var found bool
		d, found, err = s.store.lockDeletion(ctx, caller.Tenant)
		switch {
		case err != nil:
			return err
		case !found:
			return fault.New(fault.NotFound, "The tenant has no deletion.")
		case d.Phase == Cancelled:
			return nil
		case d.Phase != Waiting:
			return fault.New(fault.Conflict, "The deletion has begun: it is %s and cannot be cancelled.", d.Phase)
		}
		at := now()
		d.Phase, d.CancelledBy, d.CancelledAt = Cancelled, &caller.Actor, &at
		if err := s.store.cancelDeletion(ctx, d); err != nil {
			return err
		}
		return s.store.tellKeys(ctx)
	})
	if err != nil {
		return Deletion{}, err
	}
	if err := s.Engine.HurryDeletion(ctx, d.TenantID); err != nil {
		s.Logger.InfoContext(ctx, "the workflow of a cancelled deletion goes on until its time comes", "tenant_id", d.TenantID, "error", err)
	}
	return d, nil
}

const (
	startEvery = 30 * time.Second
	startLimit = 20 * time.Second
)

// RunStarter looks after deletions that were recorded and have no workflow, because the engine was away, a
// process died, or somebody ended the workflow. It returns when ctx ends.
func (s *Deletions) RunStarter(ctx context.Context) {
	ticker := time.NewTicker(startEvery)
	defer ticker.Stop()
	for {
		if err := s.StartForgotten(ctx); err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "deletions of tenants could not be looked after", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// StartForgotten makes one pass: it begins every deletion that is due and whose workflow is not there.
func (s *Deletions) StartForgotten(ctx context.Context) error {
	ctx, stop := context.WithTimeout(postgres.AsSystem(ctx), startLimit)
	defer stop()
	due, err := s.store.dueDeletions(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, d := range due {
		err := s.Engine.StartDeletion(ctx, d.TenantID, d.ID)
		failed = errors.Join(failed, err)
		if fault.Is(err, fault.Unavailable) {
			break
		}
	}
	return failed
}

// Advance goes on with a deletion for about a Slice. It may be called again after any failure, by any
// process: where it stands is in the database.
func (s *Deletions) Advance(ctx context.Context, tenant, deletion uuid.UUID) (Step, error) {
	ctx = scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system", RequestID: deletion.String()})
	system := postgres.AsSystem(ctx)
	until := time.Now().Add(s.Slice)
	d, found, err := s.store.deletion(system, deletion)
	switch {
	case err != nil:
		return Step{}, err
	case !found:
		return Step{}, fault.New(fault.NotFound, "There is no such deletion.")
	case d.Phase.Over():
		return Step{Over: true}, nil
	}
	var pause time.Duration
	switch d.Phase {
	case Waiting:
		pause, err = s.begin(ctx, d)
	case Stopping:
		pause, err = s.stop(ctx, d, until)
	case Exporting:
		err = s.export(system, d, until)
	case Erasing:
		pause, err = s.erase(system, d, until)
	case Completed, Cancelled:
	}
	if err != nil {
		s.note(system, deletion, err)
	}
	return Step{Pause: pause}, err
}

// note keeps why an attempt failed, for people who look at the deletion.
func (s *Deletions) note(ctx context.Context, id uuid.UUID, cause error) {
	if ctx.Err() != nil {
		return // this worker goes away: that is no failure of the deletion
	}
	text := "An unexpected failure: the workers' logs tell more."
	var known *fault.Error
	if errors.As(cause, &known) {
		text = known.Detail
	}
	if err := s.store.noteError(ctx, id, text); err != nil {
		s.Logger.WarnContext(ctx, "why a deletion failed was not kept", "deletion_id", id, "error", errors.Join(cause, err))
	}
}

// begin ends the grace period, if it is over. Whoever cancels meanwhile is too late or was first.
func (s *Deletions) begin(ctx context.Context, d Deletion) (time.Duration, error) {
	if left := time.Until(d.EraseAt.Time); left > 0 {
		return left, nil
	}
	// First, so that the trail that is exported holds it. Cancelled at this very moment, it says that it was tried.
	if err := s.Auditor.DeletionBegan(ctx, d); err != nil {
		return 0, err
	}
	return 0, s.store.enter(postgres.AsSystem(ctx), d.ID, Waiting, Stopping)
}

const (
	stopReason = "The tenant is being deleted."
	stopPause  = time.Second
)

// stop ends what the tenant does. Runs are asked and get their time; what is open after that is ended.
func (s *Deletions) stop(ctx context.Context, d Deletion, until time.Time) (time.Duration, error) {
	if err := s.Engine.EndSchedules(ctx, d.TenantID); err != nil {
		return 0, err
	}
	left, err := s.Runs.StopRuns(ctx, until, stopReason)
	if err != nil {
		return 0, err
	}
	late := d.BeganAt != nil && clock.Now().Sub(*d.BeganAt) > s.StopWithin
	if left > 0 && !late {
		return stopPause, nil
	}
	ended, err := s.Engine.EndWorkflows(ctx, d.TenantID, time.Now().Add(s.Slice)) // also after a slice of asking runs to stop
	if err != nil {
		return 0, err
	}
	if ended > 0 { // there may be more, and the engine's list lags behind: nothing is erased before a look finds none
		return stopPause, nil
	}
	next := Erasing
	if d.Export {
		next = Exporting
	}
	return 0, s.store.enter(postgres.AsSystem(ctx), d.ID, Stopping, next)
}
