package deliveries

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/postgres"
)

const (
	courierQueue = 4096 // deliveries that wait here; what does not fit is found by the next search
	courierRound = 64   // deliveries of one round
	courierWide  = 8    // of them at a time
	// courierPause is how long the first of a round waits for others. It keeps the work of handing over out of
	// the moment in which its run reports and closes.
	courierPause = 30 * time.Millisecond
	doubtfulPace = time.Second / 5  // between two handfuls (courierWide) to endpoints that fail
	searchEvery  = 5 * time.Second  // for what nobody handed over
	searchOlder  = 10 * time.Second // than this: what is younger is on its way
	searchPage   = 500
	purgeEvery   = time.Hour
	purgePage    = 5000
)

// courier hands deliveries to the engine, beside the runs and never in their way. Those to endpoints that
// fail have a queue of their own and are handed over slowly: a hundred dead endpoints would otherwise be
// a hundred workflows in front of the one that is heard.
type courier struct {
	store    store
	engine   Engine
	log      *slog.Logger
	queue    chan Key
	doubtful chan Key
	// Where the search goes on: what cannot be handed over must not stand in front of the rest for ever.
	after, afterDoubtful place
}

func newCourier(s store, engine Engine, log *slog.Logger) *courier {
	return &courier{store: s, engine: engine, log: log, queue: make(chan Key, courierQueue), doubtful: make(chan Key, courierQueue)}
}

func (c *courier) offer(keys []Key) {
	for _, k := range keys {
		queue := c.queue
		if k.doubtful {
			queue = c.doubtful
		}
		select {
		case queue <- k:
		default: // the search finds it
		}
	}
}

func (c *courier) run(ctx context.Context) {
	system := postgres.AsSystem(ctx)
	search, purge, pace := time.NewTicker(searchEvery), time.NewTicker(purgeEvery), time.NewTicker(doubtfulPace)
	defer search.Stop()
	defer purge.Stop()
	defer pace.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case k := <-c.queue:
			pause := time.NewTimer(courierPause)
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
			err = c.hand(system, gather([]Key{k}, c.queue, courierRound))
		case <-pace.C:
			err = c.hand(system, gather(nil, c.doubtful, courierWide))
		case <-search.C:
			err = c.search(system)
		case <-purge.C:
			var n int64
			n, err = c.store.purge(system, retention, purgePage)
			if purge.Reset(purgeEvery); n == purgePage { // there is more
				purge.Reset(searchEvery)
			}
		}
		if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "deliveries wait to be handed over", "error", err)
		}
	}
}

// gather takes from the queue what is there, up to limit keys together.
func gather(keys []Key, queue <-chan Key, limit int) []Key {
	for len(keys) < limit {
		select {
		case k := <-queue:
			keys = append(keys, k)
		default:
			return keys
		}
	}
	return keys
}

// search hands over what a process posted that died, or while the engine was away.
func (c *courier) search(system context.Context) error {
	if len(c.doubtful) == 0 { // else they are in it, or their turn comes after those
		slow, next, err := c.store.unhanded(system, searchOlder, true, c.afterDoubtful, searchPage)
		if err != nil {
			return err
		}
		c.afterDoubtful = next
		c.offer(slow)
	}
	urgent, next, err := c.store.unhanded(system, searchOlder, false, c.after, searchPage)
	if err != nil {
		return err
	}
	c.after = next
	return c.hand(system, urgent)
}

func (c *courier) hand(system context.Context, keys []Key) error {
	if len(keys) == 0 {
		return nil
	}
	handed := make([]bool, len(keys))
	group := new(errgroup.Group)
	group.SetLimit(courierWide)
	for i, k := range keys {
		group.Go(func() error {
			err := c.engine.Deliver(system, k)
			handed[i] = err == nil
			return err
		})
	}
	failed := group.Wait()
	var done []Key
	for i, k := range keys {
		if handed[i] {
			done = append(done, k)
		}
	}
	if err := c.store.markHanded(system, done); err != nil {
		return err
	}
	return failed
}
