package activities

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

const (
	// heartbeatEvery is how often a long activity says that its worker lives, and bounds how late it hears
	// that its run is to stop when nobody prompts it: the answer carries that word. Each beat is a write at
	// the server.
	heartbeatEvery = time.Second
	// Prompted, it asks soon, and again until the server has heard of the stop as well, or for so long.
	promptedEvery = 15 * time.Millisecond
	promptedFor   = 3 * time.Second
	// heartbeatLimit bounds one beat; a server that takes longer is tried again.
	heartbeatLimit = 3 * time.Second
)

// Heart beats for an activity. The error is a temporal.CanceledError when the activity is to stop, and a
// serviceerror.NotFound when the server has given it up.
type Heart interface {
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
}

// heartbeat beats until the returned function is called, and ends the returned context when the activity
// is to stop, has been given up, has not been heard for so long that it must have been, or when its worker
// goes away.
//
// The SDK's own beats are not used: it sends them no more often than it allows each to take, so that beats
// that hear of a stop within a second would abort the activity whenever the server pauses for one.
func (a *Activities) heartbeat(ctx context.Context, run uuid.UUID) (context.Context, func()) {
	signs := &signs{}
	alive, end := context.WithCancelCause(context.WithValue(ctx, signsKey{}, signs))
	p := &pulse{alive: alive}
	prompt, leave := a.Haste.watch(run)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer leave()
		err := a.beat(alive, p, prompt)
		end(err)
		if temporal.IsCanceledError(err) {
			activity.RecordHeartbeat(ctx) // the SDK lets only those end as cancelled whom it told so itself
		}
	}()
	return context.WithValue(alive, pulseKey{}, p), func() {
		end(nil)
		<-done
	}
}

// pulse is what an activity and its heartbeats know of each other.
type pulse struct {
	alive context.Context // ends when the activity has to, but not at its run's time limit
	limit atomic.Int64    // the run's time limit in Unix nanoseconds; zero: none
	holds atomic.Bool     // it holds a result that Postgres has yet to take
}

type pulseKey struct{}

// lateLimit is how long an activity beats beyond its run's time limit: one that does not end by then hangs, and is given
// up by the server for its missing beats.
const lateLimit = 10 * time.Second

// late reports whether the activity should have ended.
func (p *pulse) late(now time.Time) bool {
	limit := p.limit.Load()
	return limit != 0 && !p.holds.Load() && now.UnixNano() > limit+int64(lateLimit)
}

// hold returns a context with which an activity may go on beyond its run's time limit, to write what it has in hand.
func hold(ctx context.Context) (context.Context, context.CancelFunc) {
	p, ok := ctx.Value(pulseKey{}).(*pulse)
	if !ok {
		return context.WithCancel(ctx)
	}
	p.holds.Store(true)
	held, end := context.WithCancelCause(context.WithoutCancel(ctx))
	follows := context.AfterFunc(p.alive, func() { end(context.Cause(p.alive)) })
	return held, func() {
		follows()
		end(nil)
		p.holds.Store(false)
	}
}

// errWorkerStops ends an activity that its stopping worker has no more time for. Said in time, the server
// gives the activity to another worker at once; otherwise only when the beats stay away.
var errWorkerStops = errors.New("the worker stops")

// beat returns why the activity must end; nil when ctx ended first.
func (a *Activities) beat(ctx context.Context, p *pulse, prompt <-chan struct{}) error {
	info, heard := activity.GetInfo(ctx), time.Now()
	timer := time.NewTimer(heartbeatEvery)
	defer timer.Stop()
	stopping := activity.GetWorkerStopChannel(ctx)
	var drained <-chan time.Time
	var prompted time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-stopping:
			stopping = nil
			draining := time.NewTimer(a.DrainTime)
			defer draining.Stop()
			drained = draining.C
			continue
		case <-drained:
			return errWorkerStops
		case <-prompt:
			prompted = time.Now()
		case <-timer.C:
		}
		sent := time.Now()
		if p.late(sent) {
			return errDeadline
		}
		if sent.Sub(prompted) < promptedFor {
			timer.Reset(promptedEvery)
		} else {
			timer.Reset(heartbeatEvery)
		}
		err := a.beatOnce(ctx, info.TaskToken)
		switch {
		case err == nil:
			heard = sent
		case ctx.Err() != nil:
			return nil
		case definite(err):
			return err
		case time.Since(heard) >= info.HeartbeatTimeout:
			return fmt.Errorf("no heartbeat was heard for %s: %w", info.HeartbeatTimeout, err)
		}
	}
}

func (a *Activities) beatOnce(ctx context.Context, token []byte) error {
	ctx, stop := context.WithTimeout(ctx, heartbeatLimit)
	defer stop()
	if at := signsOf(ctx).working.Load(); at != 0 {
		return a.Heart.RecordActivityHeartbeat(ctx, token, Beat{WorkingAt: time.UnixMilli(at).UTC()})
	}
	return a.Heart.RecordActivityHeartbeat(ctx, token)
}

// Beat is what a heartbeat tells of a step.
type Beat struct {
	// WorkingAt is when the model last gave a sign that is in no event: a thought that is not shown, a piece of a tool
	// call.
	WorkingAt time.Time `json:"working_at"`
}

// signs are what an activity has to tell with its next beat.
type signs struct {
	working atomic.Int64 // Unix milliseconds; zero: none
}

type signsKey struct{}

// signsOf returns those of the context; some that nobody reads when it has none.
func signsOf(ctx context.Context) *signs {
	if s, ok := ctx.Value(signsKey{}).(*signs); ok {
		return s
	}
	return &signs{}
}

// markWorking notes that the model is at work.
func markWorking(ctx context.Context) { signsOf(ctx).working.Store(time.Now().UnixMilli()) }

// letGo gives the activity of an execution that was reset the time to hear that it is not wanted any more,
// and to write the last of its text, before another one declares that text void.
func letGo(ctx context.Context) {
	heard := time.NewTimer(2 * heartbeatEvery)
	defer heard.Stop()
	select {
	case <-ctx.Done():
	case <-heard.C:
	}
}

// definite reports whether the server has spoken on the activity; any other failure is one of the way there.
func definite(err error) bool {
	var missing *serviceerror.NotFound
	return temporal.IsCanceledError(err) || errors.As(err, &missing) ||
		errors.Is(err, activity.ErrActivityPaused) || errors.Is(err, activity.ErrActivityReset)
}
