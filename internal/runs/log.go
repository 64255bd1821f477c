package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/storable"
	"github.com/larirun/lari/internal/platform/stream"
)

// Log is the event log of runs: the spine of which every stream is a projection.
type Log struct {
	store    store
	appender *stream.Appender[addition]
	hub      *stream.Hub[event.Event]
	observe  func(events int, took time.Duration)
	log      *slog.Logger
	unsure   unsure // of the appender's goroutine
}

// unsure is a batch whose commit was not answered: it may be in the log or not.
type unsure struct {
	batch   *addition // its first addition; nil: there is none
	tx      string
	written []event.Event
}

// addition is an event on its way through the group commit.
type addition struct {
	tenant uuid.UUID
	run    uuid.UUID
	draft  event.Draft
	at     clock.Time
}

// NewLog makes the log. observer and observe are told what happens, for metrics.
func NewLog(db *postgres.DB, observer stream.Observer, observe func(events int, took time.Duration), log *slog.Logger) *Log {
	l := &Log{store: store{db: db, origin: uuid.NewString()}, observe: observe, log: log}
	l.appender = stream.NewAppender(l.flush)
	l.hub = stream.NewHub(l.readPage, observer, log)
	return l
}

// RunAppender commits what is added until ctx ends, and then what is left.
func (l *Log) RunAppender(ctx context.Context) { l.appender.Run(ctx) }

// Listener gives the session that hears of other processes' appends; its owner runs it.
func (l *Log) Listener(directURL string) postgres.Listener {
	return postgres.Listener{
		URL: directURL, Channel: Channel, Log: l.log,
		Connected: l.hub.Connected, Disconnected: l.hub.Disconnected, Notified: l.notified,
	}
}

func (l *Log) notified(payload string) {
	parts := strings.Split(payload, ":")
	if len(parts) != 4 {
		return
	}
	tenant, err1 := uuid.Parse(parts[0])
	run, err2 := uuid.Parse(parts[1])
	head, err3 := strconv.ParseInt(parts[2], 10, 64)
	key := stream.Key{Tenant: tenant, Log: run}
	switch {
	case errors.Join(err1, err2, err3) != nil:
	case parts[3] == l.store.origin:
		l.hub.Expect(key, head)
	default:
		l.hub.Grown(key, head)
	}
}

// Behind counts those who follow a run and have not been sent all of its events that this process has heard of,
// and these events.
func (l *Log) Behind() (readers int, events int64) { return l.hub.Behind() }

// Add puts an event at the end of a run's log with the next group commit. It returns at once; the
// ticket says when it is committed. Events of one run added by one process keep their order.
func (l *Log) Add(ctx context.Context, run uuid.UUID, draft event.Draft) (*stream.Ticket, error) {
	return l.appender.Add(ctx, addition{tenant: scope.Tenant(ctx), run: run, draft: draft, at: now()})
}

// AddLater is Add for an event that may wait a tenth of a second for those that follow it.
func (l *Log) AddLater(ctx context.Context, run uuid.UUID, draft event.Draft) (*stream.Ticket, error) {
	return l.appender.AddLater(ctx, addition{tenant: scope.Tenant(ctx), run: run, draft: draft, at: now()})
}

// Withdraw takes back what of a run's events no commit has begun with, for the caller to record together
// with what follows them. When it returns without an error the others are in the log.
func (l *Log) Withdraw(ctx context.Context, run uuid.UUID) ([]event.Draft, error) {
	mine, err := l.appender.Withdraw(ctx, func(a addition) bool { return a.run == run })
	drafts := make([]event.Draft, 0, len(mine))
	for _, a := range coalesce(mine) {
		drafts = append(drafts, a.draft)
	}
	return drafts, err
}

// flush commits a batch of many runs and tenants in one transaction, and tells the readers here.
func (l *Log) flush(ctx context.Context, batch []addition) error {
	began := time.Now()
	if done, err := l.settle(ctx, batch); done || err != nil {
		return err
	}
	byTenant := map[uuid.UUID][]pending{}
	var order []uuid.UUID
	for _, a := range coalesce(batch) {
		data, err := a.draft.Encode()
		if err != nil {
			return err
		}
		if _, seen := byTenant[a.tenant]; !seen {
			order = append(order, a.tenant)
		}
		byTenant[a.tenant] = append(byTenant[a.tenant], pending{runID: a.run, typ: a.draft.Type, at: a.at, data: data})
	}
	// In one order everywhere, as append locks heads: two processes never wait for each other in a circle.
	slices.SortFunc(order, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	parts := make([][]event.Event, len(order))
	var tx string
	err := l.store.db.Tx(ctx, func(ctx context.Context) error {
		tx = ""
		for i, tenant := range order {
			ctx := scope.With(ctx, scope.Scope{Tenant: tenant, Actor: "system"})
			// Not together with the commit: when that is not answered, settle needs to know what was written.
			if err := l.store.db.Batch(ctx, l.store.appendStatement(tenant, byTenant[tenant], &parts[i], &tx)); err != nil {
				return err
			}
		}
		return nil
	})
	written := slices.Concat(parts...)
	if err != nil {
		if tx != "" {
			l.unsure = unsure{batch: &batch[0], tx: tx, written: written}
		}
		return fmt.Errorf("append %d events: %w", len(batch), err)
	}
	l.publish(written)
	l.observe(len(written), time.Since(began))
	return nil
}

// settle finds out what became of the batch's last try, if its commit was not answered: what is in the
// log already must not be written twice.
func (l *Log) settle(ctx context.Context, batch []addition) (done bool, err error) {
	last := l.unsure
	if last.batch != &batch[0] {
		l.unsure = unsure{}
		return false, nil
	}
	ctx = scope.With(ctx, scope.Scope{Tenant: batch[0].tenant, Actor: "system"})
	if done, err = l.store.committed(ctx, last.tx); err != nil {
		return false, err
	}
	l.unsure = unsure{}
	if done {
		l.publish(last.written)
	}
	return done, nil
}

// coalesce joins deltas that follow each other in one message: what gathered while the last commit
// was under way becomes one event.
func coalesce(batch []addition) []addition {
	joined := make([]addition, 0, len(batch))
	last := make(map[uuid.UUID]int, len(batch)) // by run: its latest addition
	for _, a := range batch {
		delta, ok := a.draft.Data.(event.Delta)
		if i, seen := last[a.run]; ok && seen {
			before, ok := joined[i].draft.Data.(event.Delta)
			if ok && joined[i].draft.Type == a.draft.Type && before.MessageID == delta.MessageID && before.Attempt == delta.Attempt {
				before.Text += delta.Text
				joined[i].draft.Data = before
				continue
			}
		}
		last[a.run] = len(joined)
		joined = append(joined, a)
	}
	return joined
}

// encode gives drafts the form in which they are appended.
func encode(run uuid.UUID, at clock.Time, drafts []event.Draft) ([]pending, error) {
	batch := make([]pending, 0, len(drafts))
	for _, d := range drafts {
		data, err := d.Encode()
		if err != nil {
			return nil, err
		}
		batch = append(batch, pending{runID: run, typ: d.Type, at: at, data: data})
	}
	return batch, nil
}

func (l *Log) publish(events []event.Event) {
	for len(events) > 0 {
		n := 1
		for n < len(events) && events[n].RunID == events[0].RunID {
			n++
		}
		l.hub.Publish(stream.Key{Tenant: events[0].TenantID, Log: events[0].RunID}, events[:n:n])
		events = events[n:]
	}
}

func (l *Log) readPage(ctx context.Context, key stream.Key, after int64, limit int) ([]event.Event, error) {
	ctx = scope.With(ctx, scope.Scope{Tenant: key.Tenant, Actor: "system"})
	return l.store.events(ctx, key.Tenant, key.Log, after, limit)
}

// Follow calls send with every event of the run after the position: first the recorded ones, then
// those that come, without a gap or a duplicate. It returns nil after the final event, and
// fault.NotFound or fault.Malformed when there is no such run or position.
func (l *Log) Follow(ctx context.Context, run uuid.UUID, after int64, send func([]event.Event) error) error {
	ended, err := l.CheckPosition(ctx, run, after)
	if err != nil || ended {
		return err
	}
	return l.Tail(ctx, run, after, send)
}

// Tail is Follow for a caller who knows that there is such a run and position, and that the log goes on
// from there.
func (l *Log) Tail(ctx context.Context, run uuid.UUID, after int64, send func([]event.Event) error) error {
	return l.hub.Follow(ctx, stream.Key{Tenant: scope.Tenant(ctx), Log: run}, after, send)
}

// CheckPosition reports whether the run's log can be followed from the position; ended says that the
// position is its end for ever.
func (l *Log) CheckPosition(ctx context.Context, run uuid.UUID, after int64) (ended bool, err error) {
	head, ok, err := l.store.head(ctx, run)
	switch {
	case err != nil:
		return false, err
	case !ok:
		return false, fault.New(fault.NotFound, "There is no run %s.", run)
	case after < 0:
		return false, fault.New(fault.Malformed, "The position %d is negative.", after)
	case after > head.seq:
		return false, fault.New(fault.Malformed, "The position %d lies beyond the log, which ends at %d.", after, head.seq)
	}
	return head.closed && after == head.seq, nil
}

// Page gives at most limit events of the run after the position.
func (l *Log) Page(ctx context.Context, run uuid.UUID, after int64, limit int) ([]event.Event, error) {
	if _, err := l.CheckPosition(ctx, run, after); err != nil {
		return nil, err
	}
	return l.store.events(ctx, scope.Tenant(ctx), run, after, limit)
}

// jsonOrString returns text as JSON: itself when it is JSON that can be kept unchanged, else as a JSON string, so
// that readers see what was written.
func jsonOrString(text string) json.RawMessage {
	if storable.CheckJSON([]byte(text)) == nil {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return json.RawMessage(`""`)
	}
	return quoted
}
