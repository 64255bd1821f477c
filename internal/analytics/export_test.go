package analytics

import (
	"time"

	"github.com/larirun/lari/internal/platform/postgres"
)

// Statements gives what a question asks the database, for tests that look at plans.
func Statements(kind Kind, q Query) ([]postgres.Statement, error) {
	p, err := q.plan(kind, kind.dimensions(), time.Now())
	if err != nil {
		return nil, err
	}
	ignore := func(place, string, *histogram) {}
	switch kind {
	case KindUsage:
		return []postgres.Statement{usageStatement(p.selection(false), map[place]UsageFigures{})}, nil
	case KindRuns:
		return []postgres.Statement{countStatement(p, map[place]*both{}), timeStatement(p, ignore)}, nil
	case KindLatency:
	}
	return []postgres.Statement{timeStatement(p, ignore)}, nil
}
