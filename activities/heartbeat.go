package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

const (
	// heartbeatEvery is how often a long activity says that its worker lives, and bounds how late it hears
	// that its run is to stop: the answer carries that word. Each beat is a write at the server.
	heartbeatEvery = 200 * time.Millisecond
	// heartbeatLimit bounds one beat; a server that takes longer is tried again.
	heartbeatLimit = 3 * time.Second
)

// Heart beats for an activity. The error is a temporal.CanceledError when the activity is to stop, and a
// serviceerror.NotFound when the server has given it up.
type Heart interface {
	RecordActivityHeartbeat(ctx context.Context, taskToken []byte, details ...any) error
}

// heartbeat beats until the returned function is called, and ends the returned context when the activity
// is to stop, has been given up, or has not been heard for so long that it must have been.
//
// The SDK's own beats are not used: it sends them no more often than it allows each to take, so that beats
// that hear of a stop within a second would abort the activity whenever the server pauses for one.
func (a *Activities) heartbeat(ctx context.Context) (context.Context, func()) {
	alive, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := a.beat(alive)
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

// beat returns why the activity must end; nil when ctx ended first.
func (a *Activities) beat(ctx context.Context) error {
	info, heard := activity.GetInfo(ctx), time.Now()
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		sent := time.Now()
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
	return a.Heart.RecordActivityHeartbeat(ctx, token)
}

// letGo gives the activity of an execution that was reset the time to hear that it is not wanted any more,
// and to write the last of its text, before another one declares that text void.
func letGo(ctx context.Context) {
	heard := time.NewTimer(5 * heartbeatEvery)
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
