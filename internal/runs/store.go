package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/storable"
)

// store is the SQL of runs; store_*.go hold that of their logs, steps and approvals.
type store struct {
	db     *postgres.DB
	origin string // names this process in the announcements of its appends
}

const runColumns = `id, tenant_id, workspace_id, agent_id, agent_version, thread_id, schedule_id, status, input, output,
	error, input_tokens, output_tokens, cost_usd::text, usage_estimated, metadata, max_tokens, max_cost_usd::text, max_steps,
	timeout_seconds, approval_seconds, step, coalesce(webhook_url, ''), request_id, created_by, created_at, started_at, finished_at,
	cancel_requested_at, cancel_requested_by, cancel_reason, intake_closed,
	held_by, held_at, due_at, on_busy, rolled_back, retry_of, forked_from, coalesce(forked_step, 0),
	coalesce(traceparent, ''), coalesce(finish_reason, '')`

// restOfRun is what of a row is not read into its run as it is.
type restOfRun struct {
	input, failure     []byte
	cost               string
	maxCost            *string
	cancelAt           *clock.Time
	cancelBy, cancelOf *string
	heldBy             *Hold
	heldAt             *clock.Time
}

func (o restOfRun) complete(r *Run) (err error) {
	if r.Usage.CostUSD, err = decimal.NewFromString(o.cost); err != nil {
		return fmt.Errorf("cost of run %s: %w", r.ID, err)
	}
	if o.maxCost != nil {
		d, err := decimal.NewFromString(*o.maxCost)
		if err != nil {
			return fmt.Errorf("budget of run %s: %w", r.ID, err)
		}
		r.Limits.MaxCostUSD = &d
	}
	if err := json.Unmarshal(o.input, &r.Input); err != nil {
		return fmt.Errorf("input of run %s: %w", r.ID, err)
	}
	if o.failure != nil {
		if err := json.Unmarshal(o.failure, &r.Error); err != nil {
			return fmt.Errorf("error of run %s: %w", r.ID, err)
		}
	}
	if o.heldBy != nil && o.heldAt != nil && r.Status == Queued {
		r.Held = &Held{By: *o.heldBy, At: *o.heldAt}
	}
	if o.cancelAt != nil {
		r.Cancel = &CancelRequest{At: *o.cancelAt, By: *o.cancelBy, Reason: *o.cancelOf}
	}
	return nil
}

func scanRun(row pgx.CollectableRow) (Run, error) {
	var (
		r               Run
		rest            restOfRun
		timeoutSeconds  int
		approvalSeconds int
	)
	err := row.Scan(&r.ID, &r.TenantID, &r.WorkspaceID, &r.AgentID, &r.AgentVersion, &r.ThreadID, &r.ScheduleID, &r.Status, &rest.input,
		&r.Output, &rest.failure, &r.Usage.InputTokens, &r.Usage.OutputTokens, &rest.cost, &r.Usage.Estimated, &r.Metadata,
		&r.Limits.MaxTokens, &rest.maxCost, &r.Limits.MaxSteps, &timeoutSeconds, &approvalSeconds, &r.Step, &r.WebhookURL, &r.RequestID, &r.CreatedBy,
		&r.CreatedAt, &r.StartedAt, &r.FinishedAt, &rest.cancelAt, &rest.cancelBy, &rest.cancelOf, &r.IntakeClosed,
		&rest.heldBy, &rest.heldAt, &r.DueAt, &r.OnBusy, &r.RolledBack, &r.RetryOf, &r.ForkedFrom, &r.ForkedStep, &r.TraceParent,
		&r.FinishReason)
	if err != nil {
		return Run{}, err
	}
	r.Limits.Timeout = time.Duration(timeoutSeconds) * time.Second
	r.Limits.ApprovalTTL = time.Duration(approvalSeconds) * time.Second
	return r, rest.complete(&r)
}

func decimalText(d *decimal.Decimal) *string {
	if d == nil {
		return nil
	}
	s := d.String()
	return &s
}

// shownColumns are those of runColumns that callers see.
const shownColumns = `id, tenant_id, workspace_id, agent_id, agent_version, thread_id, schedule_id, status, input, output,
	error, input_tokens, output_tokens, cost_usd::text, usage_estimated, metadata, created_at, started_at, finished_at,
	cancel_requested_at, cancel_requested_by, cancel_reason, held_by, held_at, due_at, retry_of, forked_from, coalesce(forked_step, 0),
	coalesce(finish_reason, '')`

// scanShown reads a run of shownColumns.
func scanShown(row pgx.CollectableRow) (Run, error) {
	var r Run
	var rest restOfRun
	err := row.Scan(&r.ID, &r.TenantID, &r.WorkspaceID, &r.AgentID, &r.AgentVersion, &r.ThreadID, &r.ScheduleID, &r.Status, &rest.input, &r.Output,
		&rest.failure, &r.Usage.InputTokens, &r.Usage.OutputTokens, &rest.cost, &r.Usage.Estimated, &r.Metadata, &r.CreatedAt, &r.StartedAt, &r.FinishedAt,
		&rest.cancelAt, &rest.cancelBy, &rest.cancelOf, &rest.heldBy, &rest.heldAt, &r.DueAt, &r.RetryOf, &r.ForkedFrom, &r.ForkedStep,
		&r.FinishReason)
	if err != nil {
		return Run{}, err
	}
	return r, rest.complete(&r)
}

// shown gives a run as callers see it.
func (s store) shown(ctx context.Context, id uuid.UUID) (Run, error) {
	r, found, err := postgres.Lookup(ctx, s.db, `select `+shownColumns+` from agent_runs where id = $1`, []any{id}, scanShown)
	return r, existing(id, found, err)
}

func findStatement(id uuid.UUID, r *Run, found *bool) postgres.Statement {
	return postgres.Statement{SQL: `select ` + runColumns + ` from agent_runs where id = $1`, Args: []any{id}, Read: postgres.Row(r, found, scanRun)}
}

// lock reads a run and holds it until the transaction ends; the statements of with follow in the same
// round trip.
func (s store) lock(ctx context.Context, id uuid.UUID, with ...postgres.Statement) (r Run, err error) {
	found := true
	held := postgres.Statement{
		SQL: `select ` + runColumns + ` from agent_runs where id = $1 for no key update`, Args: []any{id}, Read: postgres.Row(&r, &found, scanRun),
	}
	err = s.db.Batch(ctx, append([]postgres.Statement{held}, with...)...)
	if !found { // whatever the others say of it
		err = nil
	}
	return r, existing(id, found, err)
}

func (s store) find(ctx context.Context, id uuid.UUID) (r Run, err error) {
	var found bool
	err = s.db.Batch(ctx, findStatement(id, &r, &found))
	return r, existing(id, found, err)
}

func existing(id uuid.UUID, found bool, err error) error {
	if err == nil && !found {
		err = fault.New(fault.NotFound, "There is no run %s.", id)
	}
	return err
}

// save writes what a run's methods change, events at the end of its log and more behind these, with the
// commit of the transaction. written is filled by then.
func (s store) save(ctx context.Context, r Run, events []pending, written *[]event.Event, more ...postgres.Statement) error {
	update, err := updateStatement(r)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return s.db.Finally(ctx, update)
	}
	return s.db.Finally(ctx, append([]postgres.Statement{update, s.appendStatement(r.TenantID, events, written, new(string))}, more...)...)
}

func updateStatement(r Run) (postgres.Statement, error) {
	var failure []byte
	if r.Error != nil {
		var err error
		if failure, err = storable.Marshal(r.Error); err != nil {
			return postgres.Statement{}, fmt.Errorf("encode the error: %w", err)
		}
	}
	var cancelAt *clock.Time
	var cancelBy, cancelReason *string
	if r.Cancel != nil {
		cancelAt, cancelBy, cancelReason = &r.Cancel.At, &r.Cancel.By, &r.Cancel.Reason
	}
	return postgres.Statement{
		SQL: `update agent_runs set status = $2, output = $3, error = $4, input_tokens = $5, output_tokens = $6,
				cost_usd = $7::text::numeric, usage_estimated = $8, step = $9, started_at = $10, finished_at = $11,
				cancel_requested_at = $12, cancel_requested_by = $13, cancel_reason = $14, intake_closed = $15,
				finish_reason = nullif($16, '')
			where id = $1`,
		Args: []any{
			r.ID, r.Status, r.Output, failure, r.Usage.InputTokens, r.Usage.OutputTokens, r.Usage.CostUSD.String(),
			r.Usage.Estimated, r.Step, r.StartedAt, r.FinishedAt, cancelAt, cancelBy, cancelReason, r.IntakeClosed,
			r.FinishReason,
		},
	}, nil
}

// removeUnstarted takes back a run that the engine refused; it reports whether the run was still queued.
func (s store) removeUnstarted(ctx context.Context, id uuid.UUID) (bool, error) {
	n, err := s.db.Exec(ctx, `delete from agent_runs where id = $1 and status = 'queued'`, id)
	return n == 1, err
}

// summarise writes the compact record of an ended run into its row; found is false for another one.
func (s store) summarise(ctx context.Context, id uuid.UUID) (found bool, err error) {
	n, err := s.db.Exec(ctx, `
		update agent_runs r set summary = jsonb_strip_nulls(jsonb_build_object(
			'steps', r.step,
			'tool_calls', (select count(*) from tool_calls c where c.run_id = r.id),
			'queued_ms', greatest(round(extract(epoch from coalesce(r.started_at, r.finished_at) - r.created_at) * 1000), 0),
			'duration_ms', round(extract(epoch from r.finished_at - r.started_at) * 1000),
			'stopped_ms', case when r.status = 'cancelled' then greatest(round(extract(epoch from r.finished_at - r.cancel_requested_at) * 1000), 0) end))
		where r.id = $1 and r.finished_at is not null`, id)
	return n == 1, err
}
