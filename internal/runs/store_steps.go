package runs

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
)

// inserted is what became of a step that was to be recorded.
type inserted struct {
	created bool // false: it is there already
	waiting bool // a message was sent into the run that no step has been shown yet
}

// insertStepStatement records a step with its tool calls.
func insertStepStatement(tenant uuid.UUID, step Step, done *inserted) postgres.Statement {
	n := len(step.ToolCalls)
	ids, callIDs, names, arguments := make([]uuid.UUID, n), make([]string, n), make([]string, n), make([]string, n)
	unfinished := make([]*string, n) // the results of calls that are not to be run
	for i, c := range step.ToolCalls {
		ids[i], callIDs[i], names[i], arguments[i] = c.ID, c.CallID, c.Name, c.Arguments
		if c.IsUnfinished() {
			unfinished[i] = &c.Result
		}
	}
	return postgres.Statement{
		SQL: `
		with step as (
			insert into run_steps (tenant_id, run_id, step, content, finish, model, input_tokens, output_tokens, cost_usd, estimated, finished_at, cut_by)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::numeric, $10, $11, nullif($17, ''))
			on conflict (run_id, step) do nothing returning step),
		calls as (
			insert into tool_calls (id, tenant_id, run_id, step, position, call_id, name, arguments, status, result, finished_at)
			select c.id, $1, $2, $3, c.ord - 1, c.call_id, c.name, c.arguments,
				case when c.unfinished is null then 'pending' else 'failed' end, c.unfinished, case when c.unfinished is not null then $11::timestamptz end
			from unnest($12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[]) with ordinality as c (id, call_id, name, arguments, unfinished, ord)
			where exists (select from step)),
		provider as (
			insert into step_provider_data (tenant_id, run_id, step, data) select $1, $2, $3, $18 from step where $18::bytea is not null)
		select exists (select from step), exists (select from run_messages where run_id = $2 and step is null)`,
		Args: []any{
			tenant, step.RunID, step.Number, step.Content, step.Finish, step.Model, step.Usage.InputTokens, step.Usage.OutputTokens,
			step.Usage.CostUSD.String(), step.Usage.Estimated, step.At, ids, callIDs, names, arguments, unfinished,
			string(step.CutBy), step.ProviderData,
		},
		Read: postgres.Row(done, nil, func(row pgx.CollectableRow) (inserted, error) {
			var i inserted
			err := row.Scan(&i.created, &i.waiting)
			return i, err
		}),
	}
}

// steps gives the recorded steps of a run in order, each with its tool calls.
func (s store) steps(ctx context.Context, run uuid.UUID) ([]Step, error) {
	var steps []Step
	var calls []ToolCall
	err := s.db.Batch(ctx, stepsStatements(run, &steps, &calls)...)
	return withCalls(steps, calls), err
}

func stepsStatements(run uuid.UUID, steps *[]Step, calls *[]ToolCall) []postgres.Statement {
	return []postgres.Statement{
		{
			SQL: `select s.step, content, finish, model, input_tokens, output_tokens, cost_usd::text, estimated, finished_at,
				coalesce(cut_by, ''), d.data
				from run_steps s left join step_provider_data d on d.run_id = s.run_id and d.step = s.step
				where s.run_id = $1 order by s.step`,
			Args: []any{run},
			Read: postgres.Rows(steps, func(row pgx.CollectableRow) (Step, error) {
				step := Step{RunID: run}
				var cost string
				err := row.Scan(&step.Number, &step.Content, &step.Finish, &step.Model, &step.Usage.InputTokens, &step.Usage.OutputTokens,
					&cost, &step.Usage.Estimated, &step.At, &step.CutBy, &step.ProviderData)
				if err != nil {
					return Step{}, err
				}
				step.Usage.CostUSD, err = decimal.NewFromString(cost)
				return step, err
			}),
		},
		{
			SQL:  `select ` + callColumns + ` from tool_calls where run_id = $1 order by step, position`,
			Args: []any{run},
			Read: postgres.Rows(calls, scanCall),
		},
	}
}

func withCalls(steps []Step, calls []ToolCall) []Step {
	byNumber := make(map[int]int, len(steps))
	for i := range steps {
		byNumber[steps[i].Number] = i
	}
	for _, c := range calls {
		if i, ok := byNumber[c.Step]; ok {
			steps[i].ToolCalls = append(steps[i].ToolCalls, c)
		}
	}
	return steps
}

const callColumns = `id, run_id, step, position, call_id, name, arguments, status, coalesce(result, ''), started_at, finished_at, tries`

func scanCall(row pgx.CollectableRow) (ToolCall, error) {
	var c ToolCall
	err := row.Scan(&c.ID, &c.RunID, &c.Step, &c.Position, &c.CallID, &c.Name, &c.Arguments, &c.Status, &c.Result, &c.StartedAt, &c.FinishedAt, &c.Tries)
	return c, err
}

// lockCall reads a tool call and holds it until the transaction ends.
func (s store) lockCall(ctx context.Context, id uuid.UUID) (ToolCall, error) {
	c, ok, err := postgres.One(ctx, s.db, `select `+callColumns+` from tool_calls where id = $1 for no key update`, []any{id}, scanCall)
	switch {
	case err != nil:
		return ToolCall{}, err
	case !ok:
		return ToolCall{}, fault.New(fault.NotFound, "There is no tool call %s.", id)
	}
	return c, nil
}

func (s store) updateCall(ctx context.Context, c ToolCall) error {
	_, err := s.db.Exec(ctx, `update tool_calls set arguments = $2, status = $3, result = $4, started_at = $5, finished_at = $6, tries = $7 where id = $1`,
		c.ID, c.Arguments, c.Status, c.Result, c.StartedAt, c.FinishedAt, c.Tries)
	return err
}

// insertMessage adds a message; created is false when it is there already.
func (s store) insertMessage(ctx context.Context, tenant, run uuid.UUID, m LiveMessage) (created bool, err error) {
	n, err := s.db.Exec(ctx, `insert into run_messages (id, tenant_id, run_id, content, step, created_by, created_at)
		values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing`, m.ID, tenant, run, m.Content, m.Step, m.CreatedBy, m.CreatedAt)
	return n == 1, err
}

// injectStatement assigns every message that waits to the step and gives all messages of the run.
func injectStatement(run uuid.UUID, step int, messages *[]LiveMessage) postgres.Statement {
	return postgres.Statement{
		SQL: `with fresh as (
				update run_messages set step = $2 where run_id = $1 and step is null
				returning id, content, step, created_by, created_at)
			select * from fresh union all
			select id, content, step, created_by, created_at from run_messages where run_id = $1 and step is not null
			order by id`,
		Args: []any{run, step},
		Read: postgres.Rows(messages, scanMessage),
	}
}

// messagesStatement gives what was sent into a run, in order.
func messagesStatement(run uuid.UUID, messages *[]LiveMessage) postgres.Statement {
	return postgres.Statement{
		SQL:  `select id, content, step, created_by, created_at from run_messages where run_id = $1 order by id`,
		Args: []any{run}, Read: postgres.Rows(messages, scanMessage),
	}
}

func scanMessage(row pgx.CollectableRow) (LiveMessage, error) {
	var m LiveMessage
	err := row.Scan(&m.ID, &m.Content, &m.Step, &m.CreatedBy, &m.CreatedAt)
	return m, err
}

// turn reads what a step begins with in one round trip, and more. A fresh step also gets the messages that
// wait. A run that has ended, or is not there, is an error.
func (s store) turn(ctx context.Context, run uuid.UUID, step int, fresh bool, more ...postgres.Statement) (t Turn, err error) {
	var found bool
	var calls []ToolCall
	statements := append([]postgres.Statement{findStatement(run, &t.Run, &found)}, more...)
	if step > 1 || !fresh {
		statements = append(statements, stepsStatements(run, &t.Steps, &calls)...)
	}
	if fresh {
		statements = append(statements, injectStatement(run, step, &t.Messages))
	}
	err = s.db.Batch(ctx, statements...)
	t.Steps = withCalls(t.Steps, calls)
	switch {
	case err != nil:
		return Turn{}, err
	case !found:
		return Turn{}, fault.New(fault.NotFound, "There is no run %s.", run)
	case t.Run.Status.Final():
		return Turn{}, fault.New(fault.RunFinal, "The run has ended: it is %s.", t.Run.Status)
	}
	return t, nil
}

// cutOff returns the text of a step that a limit of the run or its tenant cut off; "" when none did.
func (s store) cutOff(ctx context.Context, run uuid.UUID, step int) (string, error) {
	text, _, err := postgres.One(ctx, s.db, `select content from run_steps where run_id = $1 and step = $2 and cut_by is not null`,
		[]any{run, step}, pgx.RowTo[string])
	return text, err
}

// inject assigns the messages that wait to the step and gives all messages of the run.
func (s store) inject(ctx context.Context, run uuid.UUID, step int) (messages []LiveMessage, err error) {
	err = s.db.Batch(ctx, injectStatement(run, step, &messages))
	return messages, err
}

// copyStepsStatement copies a run's steps before a step to another run, which is not billed for them.
func copyStepsStatement(from, to uuid.UUID, before int) postgres.Statement {
	return postgres.Statement{SQL: `
		insert into run_steps (tenant_id, run_id, step, content, finish, model, input_tokens, output_tokens, cost_usd, estimated, finished_at, cut_by)
		select tenant_id, $2, step, content, finish, model, 0, 0, 0, false, finished_at, cut_by from run_steps where run_id = $1 and step < $3
		on conflict (run_id, step) do nothing`, Args: []any{from, to, before}}
}

func copyProviderDataStatement(from, to uuid.UUID, before int) postgres.Statement {
	return postgres.Statement{SQL: `
		insert into step_provider_data (tenant_id, run_id, step, data)
		select tenant_id, $2, step, data from step_provider_data where run_id = $1 and step < $3
		on conflict (run_id, step) do nothing`, Args: []any{from, to, before}}
}

func copyCallsStatement(from, to uuid.UUID, before int) postgres.Statement {
	return postgres.Statement{SQL: `
		insert into tool_calls (id, tenant_id, run_id, step, position, call_id, name, arguments, status, result, started_at, finished_at)
		select lari.uuid_v7(), tenant_id, $2, step, position, call_id, name, arguments, status, result, started_at, finished_at
		from tool_calls where run_id = $1 and step < $3
		on conflict (run_id, step, position) do nothing`, Args: []any{from, to, before}}
}

// setPartialModel notes whose tokens a step had used when it was stopped; it is written with the commit.
func (s store) setPartialModel(ctx context.Context, run uuid.UUID, model string) error {
	return s.db.Finally(ctx, postgres.Statement{SQL: `update agent_runs set partial_model = nullif($2, '') where id = $1`, Args: []any{run, model}})
}
