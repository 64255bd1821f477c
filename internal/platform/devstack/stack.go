package devstack

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Config says what to start and where its state lives.
type Config struct {
	// DataDir holds the state: cluster, SQLite file, ports, logs. When Ephemeral it is the parent of a
	// folder made for this run, "" meaning the system's temporary folder.
	DataDir string
	// Out gets progress lines for people; nil: none.
	Out io.Writer
	// Log gets what operators look for afterwards; nil: none. Secrets are not logged.
	Log *slog.Logger
	// DatabaseURL, when set, is used as it is and no Postgres is started.
	DatabaseURL string
	// TemporalAddress (host:port), when set, is used as it is and no Temporal is started.
	TemporalAddress string
	// Ephemeral is for tests: no fsync, Temporal in memory, everything removed by Close.
	Ephemeral bool
	// Keep leaves an ephemeral folder in place and says where, for a look at its logs.
	Keep bool
	// TemporalUI serves Temporal's web console too.
	TemporalUI bool
}

// Stack is a running Postgres and Temporal. Its owner calls Close.
type Stack struct {
	// DatabaseURL is a superuser's connection to the database `lari`, which has the extension vector.
	DatabaseURL string
	// TemporalAddress is the frontend's host:port.
	TemporalAddress string
	// TemporalUIURL is the web console, "" without one.
	TemporalUIURL string

	boot     *boot
	children []*child
	done     chan error
	closing  chan struct{}
	watchers sync.WaitGroup
	once     sync.Once
}

// Start prepares and starts what the configuration does not bring, both side by side, and returns when
// both answer. The context bounds the start only; the children live until Close. Foreseeable failures are
// *Trouble, whose Error() is one sentence with a way out.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Stack{
		DatabaseURL: cfg.DatabaseURL, TemporalAddress: cfg.TemporalAddress,
		done: make(chan error, 2), closing: make(chan struct{}),
	}
	if cfg.DatabaseURL != "" && cfg.TemporalAddress != "" {
		return s, nil
	}
	b, err := openBoot(ctx, cfg, newProgress(cfg.Out))
	if err != nil {
		return nil, err
	}
	s.boot = b
	var database, engine *child
	group, groupCtx := errgroup.WithContext(ctx)
	if cfg.DatabaseURL == "" {
		group.Go(func() (err error) {
			database, s.DatabaseURL, err = b.postgres(groupCtx)
			return err
		})
	}
	if cfg.TemporalAddress == "" {
		group.Go(func() (err error) {
			engine, s.TemporalAddress, s.TemporalUIURL, err = b.temporal(groupCtx, cfg.TemporalUI)
			return err
		})
	}
	err = group.Wait()
	for _, c := range []*child{engine, database} {
		if c != nil {
			s.children = append(s.children, c)
			log.DebugContext(ctx, "child started", slog.String("name", c.spec.name), slog.Int("pid", c.process.Pid), slog.String("log", c.logPath))
		}
	}
	if err != nil {
		_ = s.Close() // always nil
		return nil, err
	}
	for _, c := range s.children {
		s.watchers.Go(func() { s.watch(c, log) })
	}
	return s, nil
}

// watch reports a child that ends before Close asks it to.
func (s *Stack) watch(c *child, log *slog.Logger) {
	select {
	case <-s.closing:
		return
	case <-c.exited:
	}
	select {
	case <-s.closing: // both at once: Close stopped it
		return
	default:
	}
	log.Error("child ended by itself", slog.String("name", c.spec.name), slog.String("ending", c.ending()), slog.String("log", c.logPath))
	s.done <- trouble(c.err, "%s ended by itself (%s): its log is %s; start again.", c.spec.name, c.ending(), c.logPath)
}

// Done receives an error for each child that ends by itself, and is closed by Close.
func (s *Stack) Done() <-chan error { return s.done }

// Close stops the children, gracefully and then by force, and removes an ephemeral state folder. It may
// be called more than once; later calls wait for the first.
func (s *Stack) Close() error {
	s.once.Do(func() {
		close(s.closing)
		var stopping sync.WaitGroup
		for _, c := range s.children {
			stopping.Go(c.stop)
		}
		stopping.Wait()
		s.watchers.Wait()
		close(s.done)
		if s.boot != nil {
			s.boot.close()
		}
	})
	return nil
}
