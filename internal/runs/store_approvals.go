package runs

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

const approvalColumns = `id, run_id, tool_call_id, status, arguments, reason, requested_at, expires_at, resolved_at, coalesce(resolved_by, '')`

func scanApproval(row pgx.CollectableRow) (Approval, error) {
	var a Approval
	err := row.Scan(&a.ID, &a.RunID, &a.ToolCallID, &a.Decision, &a.Arguments, &a.Reason, &a.RequestedAt, &a.ExpiresAt, &a.ResolvedAt, &a.ResolvedBy)
	return a, err
}

// insertApproval asks once for each tool call: created is false when the question is there already,
// and the approval is then that one.
func (s store) insertApproval(ctx context.Context, tenant uuid.UUID, a Approval) (Approval, bool, error) {
	n, err := s.db.Exec(ctx, `
		insert into approvals (id, tenant_id, run_id, tool_call_id, status, requested_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7) on conflict (tool_call_id) do nothing`,
		a.ID, tenant, a.RunID, a.ToolCallID, a.Decision, a.RequestedAt, a.ExpiresAt)
	if err != nil || n == 1 {
		return a, n == 1, err
	}
	a, _, err = postgres.One(ctx, s.db, `select `+approvalColumns+` from approvals where tool_call_id = $1`, []any{a.ToolCallID}, scanApproval)
	return a, false, err
}

// lockApproval reads an approval of the run and holds it until the transaction ends.
func (s store) lockApproval(ctx context.Context, run, id uuid.UUID) (Approval, error) {
	a, ok, err := postgres.One(ctx, s.db, `select `+approvalColumns+` from approvals where id = $1 and run_id = $2 for no key update`,
		[]any{id, run}, scanApproval)
	switch {
	case err != nil:
		return Approval{}, err
	case !ok:
		return Approval{}, fault.New(fault.NotFound, "The run has no approval %s.", id)
	}
	return a, nil
}

func (s store) updateApproval(ctx context.Context, a Approval) error {
	_, err := s.db.Exec(ctx, `update approvals set status = $2, arguments = $3, reason = $4, resolved_at = $5, resolved_by = $6 where id = $1`,
		a.ID, a.Decision, a.Arguments, a.Reason, a.ResolvedAt, a.ResolvedBy)
	return err
}

// expireApprovals closes the run's open questions and returns them in the order in which they were asked.
func (s store) expireApprovals(ctx context.Context, run uuid.UUID, reason string, at clock.Time) ([]Approval, error) {
	return postgres.All(ctx, s.db, `
		with closed as (
			update approvals set status = 'expired', reason = $2, resolved_at = $3, resolved_by = 'system'
			where run_id = $1 and status = 'pending' returning `+approvalColumns+`)
		select * from closed order by id`, []any{run, reason, at}, scanApproval)
}

// approvalsPending reports whether a question of the run is open.
func (s store) approvalsPending(ctx context.Context, run uuid.UUID) (bool, error) {
	pending, _, err := postgres.One(ctx, s.db, `select exists (select from approvals where run_id = $1 and status = 'pending')`,
		[]any{run}, pgx.RowTo[bool])
	return pending, err
}

// forgetSignals lets the answers of a run that were signalled before a time be signalled again.
func (s store) forgetSignals(ctx context.Context, run uuid.UUID, before time.Time) error {
	_, err := s.db.Exec(ctx, `update approvals set signalled_at = null where run_id = $1 and resolved_at is not null and signalled_at < $2`, run, before)
	return err
}

func (s store) markSignalled(ctx context.Context, id uuid.UUID) error {
	_, err := s.db.Exec(ctx, `update approvals set signalled_at = now() where id = $1`, id)
	return err
}

// unsignalled is an answer that the workflow has perhaps not heard of.
type unsignalled struct {
	approval, run, tenant uuid.UUID
	place                 Place
}

// unsignalledApprovals returns answers of active runs older than age that were perhaps not signalled, the oldest after a
// place first; across tenants.
func (s store) unsignalledApprovals(ctx context.Context, age time.Duration, after Place, limit int) ([]unsignalled, error) {
	return postgres.All(ctx, s.db, `
		select a.id, a.run_id, a.tenant_id, a.resolved_at from approvals a join agent_runs r on r.id = a.run_id
		where a.resolved_at < now() - $1::interval and a.signalled_at is null and r.status in ('running', 'waiting')
			and (a.resolved_at, a.id) > ($2::timestamptz, $3::uuid)
		order by a.resolved_at, a.id limit $4`, []any{age, after.At, after.ID, limit}, func(row pgx.CollectableRow) (unsignalled, error) {
		var u unsignalled
		err := row.Scan(&u.approval, &u.run, &u.tenant, &u.place.At)
		u.place.ID = u.approval
		return u, err
	})
}
