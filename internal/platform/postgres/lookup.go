package postgres

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Lookup is One for a quick read by key. While the lanes for such reads are busy, those that come in wait
// and are then sent together, in one round trip: under load that spares most of what a read costs, and a
// process with nothing to do sends each at once. Each runs with the claims of its own tenant, as always.
// One that scans or sorts would hold up the others: that is for One and All.
func Lookup[T any](ctx context.Context, db *DB, sql string, args []any, scan pgx.RowToFunc[T]) (value T, ok bool, err error) {
	who, err := identityOf(ctx)
	// The system's role would stay for the lookups behind it; a transaction has its connection already.
	if err != nil || who.system || txFrom(ctx) != nil {
		return One(ctx, db, sql, args, scan)
	}
	found := new(struct { // not in this frame: it may be filled when a caller who left early is gone
		value T
		ok    bool
	})
	l := &lookup{
		who: who, statement: Statement{SQL: sql, Args: args, Read: Row(&found.value, &found.ok, scan)},
		turn: make(chan struct{}, 1),
	}
	l.until, _ = ctx.Deadline()
	switch err := db.lookups.do(ctx, db, l); {
	case err != nil:
		return value, false, translate(err)
	case l.alone:
		return One(ctx, db, sql, args, scan)
	}
	return found.value, found.ok, nil
}

// lookup is one read on its way.
type lookup struct {
	who       identity
	statement Statement
	until     time.Time     // zero: no limit
	turn      chan struct{} // receives when it has been read, or is to lead
	batch     []*lookup     // what it leads, itself first; nil: it was read
	alone     bool          // what was sent together with it failed: to be read by itself
}

// maxTogether bounds the lookups of one round trip.
const maxTogether = 32

// patience is how long after a departure the next one may be held back, while round trips are out.
const patience = time.Millisecond

// lookups gathers them. It has no goroutine of its own: who may depart sends what waits, and then hands
// its place on to the first of those who came meanwhile.
type lookups struct {
	few, most int // round trips at once: usually, and at most, when they take long

	mu      sync.Mutex
	out     int       // round trips at this moment
	last    time.Time // departure
	waiting []*lookup // oldest first; somebody is out while there are any
}

// newLookups shares out a pool of so many connections: an eighth of it gathers best when the database is near,
// and half of it always stays for everything else.
func newLookups(conns int32) *lookups {
	return &lookups{few: max(int(conns)/8, 1), most: max(int(conns)/2, 1)}
}

func (g *lookups) do(ctx context.Context, db *DB, l *lookup) error {
	if !g.enter(l) {
		select {
		case <-l.turn:
		case <-ctx.Done():
			if g.leave(l) {
				return ctx.Err()
			}
			<-l.turn // others wait for what it leads
		}
	}
	switch len(l.batch) {
	case 0: // it has been read
		return nil
	case 1:
		defer g.handOn()
		return db.Batch(ctx, l.statement)
	default:
		defer g.handOn()
		lead(ctx, db, l.batch)
		return nil
	}
}

// enter reports whether the lookup may depart, with those it leads; otherwise it has a place in the queue.
func (g *lookups) enter(l *lookup) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.out < g.few || g.out < g.most && time.Since(g.last) > patience {
		g.out++
		g.depart(l)
		return true
	}
	g.waiting = append(g.waiting, l)
	return false
}

// depart lets the lookup lead what waits.
func (g *lookups) depart(l *lookup) {
	n := min(len(g.waiting), maxTogether-1)
	l.batch = append([]*lookup{l}, g.waiting[:n]...)
	g.waiting = slices.Delete(g.waiting, 0, n)
	g.last = time.Now()
}

// handOn gives the place of a round trip that is back to the first who waits.
func (g *lookups) handOn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 || g.out > g.few {
		g.out--
		return
	}
	first := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	g.depart(first)
	first.turn <- struct{}{}
}

// leave reports whether the caller may go: out of the queue, or while somebody else reads for it.
func (g *lookups) leave(l *lookup) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, l); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return l.batch == nil
}

// lead reads a batch and tells all but its first, who calls it. When anything fails each is to find out by
// itself whether that was its own fault.
func lead(ctx context.Context, db *DB, batch []*lookup) {
	failed := true
	defer func() { // also when a scan panics
		for _, l := range batch {
			l.alone = failed
		}
		for _, l := range batch[1:] {
			l.turn <- struct{}{}
		}
	}()
	failed = db.readTogether(ctx, batch) != nil
}

func (db *DB) readTogether(ctx context.Context, batch []*lookup) error {
	ctx, stop := untilLast(ctx, batch)
	defer stop()
	conn, release, err := db.acquire(ctx, uuid.Nil) // it serves several tenants
	if err != nil {
		return err
	}
	defer release()
	statements := make([]Statement, 0, 2*len(batch))
	var who identity
	for _, l := range batch {
		if l.who != who {
			who = l.who
			statements = append(statements, who.prelude(assumed(conn)))
		}
		statements = append(statements, l.statement)
	}
	return send(ctx, conn, statements)
}

// untilLast gives a context that ends when the last of the batch gives up, whoever leaves before.
func untilLast(ctx context.Context, batch []*lookup) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	var last time.Time
	for _, l := range batch {
		if l.until.IsZero() {
			return ctx, func() {}
		}
		if l.until.After(last) {
			last = l.until
		}
	}
	return context.WithDeadline(ctx, last)
}
