package deliveries

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/platform/postgres"
)

const (
	courierQueue = 4096             // deliveries that wait here; what does not fit is found by the next search
	courierRound = 64               // deliveries of one round
	courierWide  = 8                // of them at a time
	searchEvery  = 5 * time.Second  // for what nobody handed over
	searchOlder  = 10 * time.Second // than this: what is younger is on its way
	searchPage   = 500
	purgeEvery   = time.Hour
	purgePage    = 5000
)

// courier hands deliveries to the engine, beside the runs and never in their way.
type courier struct {
	store  store
	engine Engine
	log    *slog.Logger
	queue  chan Key
}

func newCourier(s store, engine Engine, log *slog.Logger) *courier {
	return &courier{store: s, engine: engine, log: log, queue: make(chan Key, courierQueue)}
}

func (c *courier) offer(keys []Key) {
	for _, k := range keys {
		select {
		case c.queue <- k:
		default:
			return
		}
	}
}

func (c *courier) run(ctx context.Context) {
	system := postgres.AsSystem(ctx)
	search, purge := time.NewTicker(searchEvery), time.NewTicker(purgeEvery)
	defer search.Stop()
	defer purge.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case k := <-c.queue:
			err = c.hand(system, c.gather(k))
		case <-search.C:
			err = c.search(system)
		case <-purge.C:
			_, err = c.store.purge(system, retention, purgePage)
		}
		if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "deliveries wait to be handed over", "error", err)
		}
	}
}

func (c *courier) gather(first Key) []Key {
	keys := []Key{first}
	for len(keys) < courierRound {
		select {
		case k := <-c.queue:
			keys = append(keys, k)
		default:
			return keys
		}
	}
	return keys
}

// search hands over what a process posted that died, or while the engine was away.
func (c *courier) search(system context.Context) error {
	forgotten, err := c.store.unhanded(system, searchOlder, searchPage)
	if err != nil || len(forgotten) == 0 {
		return err
	}
	return c.hand(system, forgotten)
}

func (c *courier) hand(system context.Context, keys []Key) error {
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
