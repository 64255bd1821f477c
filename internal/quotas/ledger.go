package quotas

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
)

// Demand is what a step may use at most.
type Demand struct {
	Run          uuid.UUID
	Step         int
	InputTokens  int64
	OutputTokens int64
	InputCost    decimal.Decimal // of the whole input
	OutputPrice  decimal.Decimal // of one token
}

// leastOutput is the shortest answer, in tokens, that is worth asking for.
const leastOutput = 16

// Grant is the answer to a demand.
type Grant struct {
	OutputTokens int64    // that the answer may have; no more than was asked for
	Refused      *Refusal // nil: it is granted
}

// Refusal says which quota has no room.
type Refusal struct {
	Quota   string
	Detail  string     // a sentence for people
	FreesAt clock.Time // when the quota's month is over
	Then    Exhausted  // what is to become of the run
}

// Reserve puts aside what a step may use at most, for the tenant of the context. Where there is room for a
// part of the answer only, so much is granted. A step that has its reservation gets the same grant again. It
// gives fault.RunFinal for a run that has ended.
func (s *Service) Reserve(ctx context.Context, d Demand) (Grant, error) {
	a, err := s.store.reserve(ctx, scope.Tenant(ctx), d)
	switch {
	case err != nil:
		return Grant{}, err
	case a.Ended:
		return Grant{}, fault.New(fault.RunFinal, "The run has ended.")
	case a.Refused != nil:
		return Grant{Refused: a.Refused.refusal(a.OnExhausted)}, nil
	case a.Output != nil:
		return Grant{OutputTokens: *a.Output}, nil
	}
	return Grant{OutputTokens: d.OutputTokens}, nil // the limit is gone meanwhile
}

func (r shortage) refusal(then Exhausted) *Refusal {
	at := clock.At(r.FreesAt)
	return &Refusal{
		Quota: r.Quota, FreesAt: at, Then: then,
		Detail: fmt.Sprintf("The quota %s has no room for the next step: %s of %s are used and %s reserved. It frees at %s.",
			r.Quota, r.Used, r.Limit, r.Reserved, at.Format(time.RFC3339)),
	}
}

// Look gives the statement that reads whether steps have to reserve what they may use.
func (s *Service) Look(tenant uuid.UUID, limited *bool) postgres.Statement {
	return limitedStatement(tenant, limited)
}

// Settle gives the statement that takes a step's reservation back and counts what the step used. passed is
// filled with the quotas whose soft limit that passed.
func (s *Service) Settle(tenant, run uuid.UUID, step int, u event.Usage, passed *[]string) postgres.Statement {
	return settleStatement(tenant, run, step, u.Tokens(), u.CostUSD, passed)
}

// Free gives the statement that takes back whatever a run has reserved.
func (s *Service) Free(run uuid.UUID) postgres.Statement { return freeStatement(run) }

// Count counts what was used by an attempt that left no record, for the tenant of the context.
func (s *Service) Count(ctx context.Context, run uuid.UUID, u event.Usage) error {
	return s.store.db.Batch(ctx, settleStatement(scope.Tenant(ctx), run, 0, u.Tokens(), u.CostUSD, new([]string)))
}
