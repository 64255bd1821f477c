package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

const (
	// surveyLimit bounds how long the engine is asked, however many questions there are.
	surveyLimit = 2 * time.Second
	// surveyFor is how long its answers are remembered.
	surveyFor = 2 * time.Second
	// pollingFor is after how long without a poll a worker counts as gone. A poll that finds nothing lasts a
	// minute, so a live one is seen at least that often; the engine forgets pollers after five.
	pollingFor = 70 * time.Second
)

// Engine is asked how the execution of runs fares. Each method gives fault.Unavailable when the engine
// cannot be reached, and ends with its context.
type Engine interface {
	// FindServer gives the engine's own version.
	FindServer(ctx context.Context) (version string, err error)
	// FindQueue gives a task queue by name; one that nobody uses is empty.
	FindQueue(ctx context.Context, name string) (Queue, error)
	// FindPasses gives the reconciler's passes; fault.NotFound when none are scheduled.
	FindPasses(ctx context.Context) (Passes, error)
	// CountPausedSchedules counts the tenant's schedules that are paused.
	CountPausedSchedules(ctx context.Context, tenant uuid.UUID) (int, error)
}

// Queue is a task queue as the engine sees it, by the two kinds of tasks.
type Queue struct {
	Workflows  Backlog
	Activities Backlog
	Pollers    []Poller
}

// Backlog is what waits for a worker. The engine's figures are approximate, and up to five seconds old.
type Backlog struct {
	Tasks        int64
	OldestWait   time.Duration
	AddRate      float64 // tasks a second, over the last half minute
	DispatchRate float64
}

// Poller is a worker process that asked a queue for tasks.
type Poller struct {
	Identity string
	BuildID  string
	LastSeen clock.Time
}

// Passes are the reconciler's.
type Passes struct {
	LastBegan *clock.Time `json:"last_began_at" description:"When the latest pass began; null: there was none yet."`
	LastEnded *clock.Time `json:"last_ended_at" description:"When it ended; null: it goes on."`
	Outcome   string      `json:"outcome" enum:",running,completed,failed,cancelled,terminated,timed_out" description:"How it ended; empty: there was none yet."`
	Next      *clock.Time `json:"next_at" description:"When the next one begins; null while they are paused."`
	Paused    bool        `json:"paused" description:"An operator has paused the passes."`
}

// QueueView is a task queue.
type QueueView struct {
	Name              string  `json:"name" example:"runs"`
	Backlog           int64   `json:"backlog" description:"Tasks that wait for a worker, about."`
	OldestWaitSeconds float64 `json:"oldest_wait_seconds" description:"How long the oldest of them has waited, about."`
	AddRate           float64 `json:"add_rate" description:"Tasks added a second, over the last half minute."`
	DispatchRate      float64 `json:"dispatch_rate" description:"Tasks handed to workers a second, over the last half minute."`
	Unavailable       string  `json:"unavailable,omitempty" description:"Why the figures are not known."`
}

// WorkersView are the worker processes.
type WorkersView struct {
	Builds      []BuildView `json:"builds" nullable:"false"`
	Unavailable string      `json:"unavailable,omitempty" description:"Why some or all of them are not known."`
}

// BuildView is the worker processes of one build.
type BuildView struct {
	BuildID    string           `json:"build_id" example:"1.4.0" description:"The version of the program that they run."`
	Workers    int              `json:"workers" description:"Processes that asked for tasks within the last 70 seconds."`
	LastSeen   clock.Time       `json:"last_seen"`
	TaskQueues []string         `json:"task_queues" nullable:"false" description:"The queues that they poll."`
	Processes  []WorkerInstance `json:"processes,omitempty" description:"One by one, for the platform's operators only."`
}

// WorkerInstance is one worker process.
type WorkerInstance struct {
	Identity   string     `json:"identity" example:"host-1/4711@1.4.0"`
	LastSeen   clock.Time `json:"last_seen"`
	TaskQueues []string   `json:"task_queues" nullable:"false"`
}

// EngineView is the engine itself.
type EngineView struct {
	Reachable   bool   `json:"reachable"`
	Version     string `json:"version,omitempty" example:"1.29.1"`
	Unavailable string `json:"unavailable,omitempty" description:"Why it cannot be asked."`
}

// ReconcilerView is the reconciler.
type ReconcilerView struct {
	Passes
	Unavailable string `json:"unavailable,omitempty" description:"Why its passes are not known."`
}

// SchedulesView counts schedules.
type SchedulesView struct {
	Paused      int    `json:"paused" description:"The tenant's schedules that are paused."`
	Unavailable string `json:"unavailable,omitempty" description:"Why they could not be counted."`
}

// survey is all that concerns every tenant alike.
type survey struct {
	at        time.Time
	server    EngineView
	passes    ReconcilerView
	queues    []QueueView
	byName    map[string]found
	instances []instance
	partly    string // why workers may be missing
}

type found struct {
	Queue
	err error
}

// instance is a worker process with all its queues.
type instance struct {
	WorkerInstance
	build string
}

// remembered keeps the latest survey. Who comes while one is made waits for it.
type remembered struct {
	mu     sync.Mutex
	latest survey
	until  time.Time
}

func (r *remembered) get(ctx context.Context, look func(context.Context) survey) survey {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.until) {
		return r.latest
	}
	// It serves others too: it does not end because the one who asked has left.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), surveyLimit)
	defer stop()
	r.latest = look(ctx)
	r.until = time.Now().Add(surveyFor)
	return r.latest
}

// survey asks everything at once, each for itself.
func (s *Service) survey(ctx context.Context) survey {
	v := survey{at: time.Now(), byName: map[string]found{}}
	answers := make([]found, len(s.Queues))
	var all sync.WaitGroup
	all.Go(func() {
		version, err := s.Engine.FindServer(ctx)
		v.server = EngineView{Reachable: err == nil, Version: version, Unavailable: s.why(ctx, err)}
	})
	all.Go(func() {
		passes, err := s.Engine.FindPasses(ctx)
		v.passes = ReconcilerView{Passes: passes, Unavailable: s.why(ctx, err)}
	})
	for i, name := range s.Queues {
		all.Go(func() { answers[i].Queue, answers[i].err = s.Engine.FindQueue(ctx, name) })
	}
	all.Wait()
	for i, name := range s.Queues {
		a := answers[i]
		v.byName[name] = a
		shown := QueueView{Name: name, Unavailable: s.why(ctx, a.err)}
		if a.err != nil {
			v.partly = shown.Unavailable
		} else {
			shown.Backlog = a.Workflows.Tasks + a.Activities.Tasks
			shown.OldestWaitSeconds = max(a.Workflows.OldestWait, a.Activities.OldestWait).Round(time.Millisecond).Seconds()
			shown.AddRate, shown.DispatchRate = a.Workflows.AddRate+a.Activities.AddRate, a.Workflows.DispatchRate+a.Activities.DispatchRate
			v.addPollers(name, a.Pollers)
		}
		v.queues = append(v.queues, shown)
	}
	return v
}

func (v *survey) addPollers(queue string, pollers []Poller) {
	for _, p := range pollers {
		i := slices.IndexFunc(v.instances, func(known instance) bool { return known.Identity == p.Identity })
		if i < 0 {
			i = len(v.instances)
			v.instances = append(v.instances, instance{WorkerInstance{Identity: p.Identity, LastSeen: p.LastSeen}, p.BuildID})
		}
		known := &v.instances[i]
		if p.LastSeen.After(known.LastSeen) {
			known.LastSeen = p.LastSeen
		}
		if !slices.Contains(known.TaskQueues, queue) {
			known.TaskQueues = append(known.TaskQueues, queue)
		}
	}
}

// workers groups the processes by build; who they are is for the platform's operators.
func (v survey) workers(named bool) WorkersView {
	byBuild := map[string]*BuildView{}
	for _, w := range v.instances {
		b := byBuild[w.build]
		if b == nil {
			b = &BuildView{BuildID: w.build, TaskQueues: []string{}}
			byBuild[w.build] = b
		}
		if polling(w.LastSeen, v.at) {
			b.Workers++
		}
		if w.LastSeen.After(b.LastSeen) {
			b.LastSeen = w.LastSeen
		}
		for _, q := range w.TaskQueues {
			if !slices.Contains(b.TaskQueues, q) {
				b.TaskQueues = append(b.TaskQueues, q)
			}
		}
		if named {
			b.Processes = append(b.Processes, w.WorkerInstance)
		}
	}
	view := WorkersView{Builds: []BuildView{}, Unavailable: v.partly}
	for _, b := range byBuild {
		slices.SortFunc(b.Processes, func(a, b WorkerInstance) int { return strings.Compare(a.Identity, b.Identity) })
		view.Builds = append(view.Builds, *b)
	}
	slices.SortFunc(view.Builds, func(a, b BuildView) int {
		if c := b.LastSeen.Compare(a.LastSeen.Time); c != 0 {
			return c
		}
		return strings.Compare(a.BuildID, b.BuildID)
	})
	return view
}

// polling reports whether a worker that was last seen then still works.
func polling(seen clock.Time, at time.Time) bool { return at.Sub(seen.Time) < pollingFor }

// why says in a sentence why a part is not known; "" when it is.
func (s *Service) why(ctx context.Context, err error) string {
	var known *fault.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &known) && known.Code != fault.Internal:
		return known.Detail
	}
	s.Logger.WarnContext(ctx, "a part of the engine's view could not be read", "error", err)
	return "It could not be read."
}

// QueueHealth is how a queue fares, for who wants to know why a task in it waits.
type QueueHealth struct {
	Queue
	Polling  bool        // a worker asks it for tasks
	LastSeen *clock.Time // of any worker; nil: none within the engine's memory
}

// FindHealth tells how one of the queues fares, from the same survey.
func (s *Service) FindHealth(ctx context.Context, name string) (QueueHealth, error) {
	v := s.memory.get(ctx, s.survey)
	f, ok := v.byName[name]
	switch {
	case !ok:
		return QueueHealth{}, fault.New(fault.NotFound, "There is no task queue %s.", name)
	case f.err != nil:
		return QueueHealth{}, f.err
	}
	h := QueueHealth{Queue: f.Queue}
	for _, p := range f.Pollers {
		h.Polling = h.Polling || polling(p.LastSeen, v.at)
		if h.LastSeen == nil || p.LastSeen.After(*h.LastSeen) {
			h.LastSeen = &p.LastSeen
		}
	}
	return h, nil
}
