package activities

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/runs"
)

// away is what every store returns while Postgres is away.
func away() error {
	return fault.Wrap(postgres.ErrUnreachable, fault.Unavailable, "The database cannot be reached.").After(2 * time.Second)
}

// TestRecordError_LeavesThePauseToThePolicy: a pause that an error asks for would take the place of the growing one.
func TestRecordError_LeavesThePauseToThePolicy(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	try := func(ctx context.Context, final bool) error {
		if final {
			return recordError(ctx, fault.New(fault.RunFinal, "The run has ended."))
		}
		return recordError(ctx, away())
	}
	env.RegisterActivity(try)
	for _, final := range []bool{false, true} {
		_, err := env.ExecuteActivity(try, final)
		var failed *temporal.ApplicationError
		if !errors.As(err, &failed) || failed.NonRetryable() != final || failed.NextRetryDelay() != 0 {
			t.Errorf("final %v: %+v", final, err)
		}
	}
}

func TestUntilRecorded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away  time.Duration // Postgres
		limit time.Duration // of the activity
		err   error         // once Postgres is back
		want  error
	}{
		"at once":                            {0, time.Hour, nil, nil},
		"after five minutes":                 {5 * time.Minute, time.Hour, nil, nil},
		"refused once Postgres is back":      {time.Minute, time.Hour, errors.ErrUnsupported, errors.ErrUnsupported},
		"not before the activity is to end":  {time.Hour, time.Minute, nil, postgres.ErrUnreachable},
		"the activity is to end immediately": {time.Hour, 0, nil, postgres.ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithTimeout(t.Context(), c.limit)
				defer stop()
				began := time.Now()
				err := untilRecorded(ctx, func(context.Context) error {
					if time.Since(began) < c.away {
						return away()
					}
					return c.err
				})
				if !errors.Is(err, c.want) {
					t.Errorf("it ends with %v, want %v", err, c.want)
				}
				if took, most := time.Since(began), min(c.away+5*time.Second, c.limit); took > most {
					t.Errorf("it took %s, want at most %s", took, most)
				}
			})
		})
	}
}

// TestToolCall_OutageIsNoTry: a tool has its tries although the database was away before them, or is what it needs.
func TestToolCall_OutageIsNoTry(t *testing.T) {
	t.Parallel()
	unreachable := fault.New(fault.Unavailable, "The host cannot be reached.")
	for name, c := range map[string]struct {
		tries int
		err   error
		want  bool
	}{
		"first try of a tool":          {1, unreachable, true},
		"last try of a tool":           {ToolTries, unreachable, false},
		"Postgres is away":             {ToolTries + 5, away(), true},
		"the tool refuses":             {1, fault.New(fault.Invalid, "no"), false},
		"the tool fails unexpectedly":  {1, errors.ErrUnsupported, false},
		"wrapped on its way to us":     {ToolTries, errors.Join(errors.New("search"), away()), true},
		"a time-out of the tool's own": {1, fault.New(fault.Timeout, "slow"), true},
	} {
		if got := tryAgain(t.Context(), runs.ToolCall{Tries: c.tries}, c.err); got != c.want {
			t.Errorf("%s: tried again: %v", name, got)
		}
	}
}
