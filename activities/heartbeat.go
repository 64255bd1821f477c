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
	prompt, leave := a.Haste.watch(run)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer leave()
		err := a.beat(alive, prompt)
		end(err)
		if temporal.IsCanceledError(err) {
			activity.RecordHeartbeat(ctx) // the SDK lets only those end as cancelled whom it told so itself
		}
	}()
	return alive, func() {
		end(nil)
		<-done
	}
}

// errWorkerStops ends an activity that its stopping worker has no more time for. Said in time, the server
// gives the activity to another worker at once; otherwise only when the beats stay away.
var errWorkerStops = errors.New("the worker stops")

// beat returns why the activity must end; nil when ctx ended first.
func (a *Activities) beat(ctx context.Context, prompt <-chan struct{}) error {
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
