package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

// Frame is one server-sent event.
type Frame struct {
	ID    int64  // 0: none; the client sends the last one back when it connects again
	Event string // lower case letters and underscores; "": the client's default, message
	Data  []byte // JSON
}

// Source produces what a stream sends, until it returns; the stream then ends. ctx ends when the client
// is gone, the caller's credential has expired or the process shuts down. Each send writes its frames
// and flushes them; it gives an error when nobody reads any more.
type Source func(ctx context.Context, send func(...Frame) error) error

var errBadEvent = errors.New("the event's name is not made of a-z and _")

// appendFrame writes a frame in the format of the HTML Standard §9.2. A line break inside a field would
// let data forge further fields: names that hold one are refused, and in JSON a line break is only
// space between tokens, so it becomes one.
func appendFrame(b []byte, f Frame) ([]byte, error) {
	for i := range len(f.Event) {
		if c := f.Event[i]; (c < 'a' || c > 'z') && c != '_' {
			return b, errBadEvent
		}
	}
	if f.ID > 0 {
		b = append(b, "id: "...)
		b = strconv.AppendInt(b, f.ID, 10)
		b = append(b, '\n')
	}
	if f.Event != "" {
		b = append(append(append(b, "event: "...), f.Event...), '\n')
	}
	b = append(b, "data: "...)
	for _, c := range f.Data {
		if c == '\n' || c == '\r' {
			c = ' '
		}
		b = append(b, c)
	}
	return append(b, "\n\n"...), nil
}

const (
	streamPreamble = "retry: 1000\n\n" // milliseconds before the client connects again
	heartbeatLine  = ": heartbeat\n\n"
)

// sse writes one stream. All writes come from the goroutine in run.
type sse struct {
	w         *bufio.Writer
	extend    func() error // moves the deadline for writing to the client
	heartbeat time.Duration
	buf       []byte
}

type batch struct {
	frames []Frame
	done   chan error
}

// run sends what the source produces and a heartbeat in between, and returns when the source has
// returned. The source runs in a goroutine of its own, so that a silent one does not keep a dead client
// from being noticed.
func (s *sse) run(ctx context.Context, source Source) error {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches, ended := make(chan batch), make(chan error, 1)
	send := func(frames ...Frame) error {
		b := batch{frames: frames, done: make(chan error, 1)}
		select {
		case batches <- b:
			return <-b.done
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	go func() { ended <- guard(ctx, source, send) }()

	err := s.write([]byte(streamPreamble))
	tick := time.NewTicker(s.heartbeat)
	defer tick.Stop()
	for {
		if err != nil {
			cancel(err)
		}
		select {
		case b := <-batches:
			if err == nil {
				err = s.frames(b.frames)
			}
			b.done <- err
		case <-tick.C:
			if err == nil {
				err = s.write([]byte(heartbeatLine))
			}
		case failed := <-ended:
			if why := closingFault(outer); why != nil && err == nil {
				return s.close(why)
			}
			return errors.Join(err, failed)
		}
	}
}

// EventClosed is the name of the event that ends a stream whose caller may no longer have it. It is no entry of any log
// and has no id.
const EventClosed = "stream_closed"

// StreamClosed says why a stream was ended by the server before its last event.
type StreamClosed struct {
	Code      fault.Code `json:"code" description:"As in a problem document: unauthenticated, forbidden or not_found"`
	Detail    string     `json:"detail" description:"What happened"`
	Reconnect bool       `json:"reconnect" description:"Whether the same credential would be let in again"`
}

func (s *sse) close(why *fault.Error) error {
	data, err := json.Marshal(StreamClosed{Code: why.Code, Detail: why.Detail})
	if err != nil {
		return fmt.Errorf("encode the end of a stream: %w", err)
	}
	return s.frames([]Frame{{Event: EventClosed, Data: data}})
}

// closingFault returns why a context of a lasting answer was ended by what became of its credential; nil when it was not.
func closingFault(ctx context.Context) *fault.Error {
	var why *fault.Error
	if ctx.Err() == nil || !errors.As(context.Cause(ctx), &why) {
		return nil
	}
	return why
}

// guard turns a panic of the source into an error: it runs outside any request, where a panic would end
// the process.
func guard(ctx context.Context, source Source, send func(...Frame) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = newPanicError(r)
		}
	}()
	return source(ctx, send)
}

func (s *sse) frames(frames []Frame) (err error) {
	s.buf = s.buf[:0]
	for _, f := range frames {
		if s.buf, err = appendFrame(s.buf, f); err != nil {
			return fmt.Errorf("frame %d: %w", f.ID, err)
		}
	}
	return s.write(s.buf)
}

var errClientGone = errors.New("the client is gone")

func (s *sse) write(b []byte) error {
	if err := s.extend(); err != nil {
		return errors.Join(errClientGone, err)
	}
	if _, err := s.w.Write(b); err != nil {
		return errors.Join(errClientGone, err)
	}
	if err := s.w.Flush(); err != nil {
		return errors.Join(errClientGone, err)
	}
	return nil
}
