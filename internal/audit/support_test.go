package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is the observer of tests.
type counter struct{ appended, batches, lost atomic.Int64 }

func (c *counter) Appended(n int, _ time.Duration) { c.appended.Add(int64(n)); c.batches.Add(1) }
func (c *counter) Lost(n int)                      { c.lost.Add(int64(n)) }

// open starts a service as a process would; it stops before the database is dropped.
func open(t testing.TB, db *postgres.DB) (*audit.Service, *counter) {
	t.Helper()
	seen := &counter{}
	s := audit.NewService(db, seen, nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.RunAppender(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return s, seen
}

func entry(n int) audit.Entry {
	return audit.Entry{
		Key: fmt.Sprintf("fact-%d", n), At: clock.Now(), Actor: "ada", Action: "createAgent", ResourceType: "agent",
		ResourceID: fmt.Sprintf("agent-%d", n), Outcome: audit.Success, RequestID: fmt.Sprintf("req-%d", n), ClientIP: "192.0.2.1",
		Data: []byte(fmt.Sprintf(`{"n": %d, "text": "é <&> \u2028"}`, n)),
	}
}

func fill(ctx context.Context, t testing.TB, s *audit.Service, from, to int) {
	t.Helper()
	var all sync.WaitGroup
	errs := make(chan error, 8)
	for w := range 8 {
		all.Go(func() {
			for n := from + w; n <= to; n += 8 {
				if err := s.Append(ctx, entry(n)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
}

func verify(ctx context.Context, t testing.TB, s *audit.Service) audit.Verdict {
	t.Helper()
	v, err := s.Verify(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sound(ctx context.Context, t testing.TB, s *audit.Service, rows int64) audit.Verdict {
	t.Helper()
	v := verify(ctx, t, s)
	if !v.Valid || v.Broken != nil || v.Checked != rows || v.Position != rows {
		t.Fatalf("the chain of %d rows is judged %+v, broken: %+v", rows, v, v.Broken)
	}
	return v
}

// all gives the whole trail, oldest first.
func all(ctx context.Context, t testing.TB, s *audit.Service, f audit.Filter) []audit.Record {
	t.Helper()
	x, err := s.Export(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	var found []audit.Record
	if err := x.Each(ctx, func(p []audit.Record) error { found = append(found, p...); return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

func list(ctx context.Context, t testing.TB, s *audit.Service, f audit.Filter, limit int) (found []audit.Record) {
	t.Helper()
	for q := (page.Request{Limit: limit}); ; {
		p, err := s.FindAll(ctx, f, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) > limit {
			t.Fatalf("a page of %d holds %d", limit, len(p.Items))
		}
		found = append(found, p.Items...)
		if p.NextCursor == nil {
			return found
		}
		q.Cursor = *p.NextCursor
	}
}

// behind runs statements as a superuser who has taken the guards away.
func behind(t testing.TB, db *pgtest.Database, statements ...string) {
	t.Helper()
	tx, err := db.Conn(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range append([]string{`set local session_replication_role = replica`}, statements...) {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}
