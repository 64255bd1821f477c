package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/larirun/lari/api"
	"github.com/larirun/lari/internal/event"
)

const runArguments = "TEXT"

const runAbout = `Starts a run and watches it: its text on standard output, the rest on standard error. Ctrl-C stops the
run, and so does the end of whoever reads the output (lari run … | head). Exits with 1 unless the run
completes. What follows -- is text.

  lari run TEXT                         start a run and watch it
  lari run --watch ID                   watch a run from its beginning; leaving does not stop it
  lari run --cancel ID [--reason TEXT]  stop a run and wait until it has stopped

The API and the token are LARI_API_URL and LARI_TOKEN, or those of the lari dev that runs here.`

// errReaderGone reports that nobody reads standard output any more.
var errReaderGone = errors.New("the reader of the output is gone")

// run is a small client of the HTTP API: it uses the same door as everybody.
func run(ctx context.Context, args []string) error {
	flags := newFlags("run", runArguments, runAbout)
	agent := flags.String("agent", "", "`id` or slug of the agent; default: assistant")
	thread := flags.String("thread", "", "`id` of the thread that the run continues")
	watch := flags.String("watch", "", "`id` of a run to watch")
	cancel := flags.String("cancel", "", "`id` of a run to stop")
	reason := flags.String("reason", "", "why it is stopped")
	words, err := parseMixed(flags, args)
	if err != nil {
		return err
	}
	if *watch == "" && *cancel == "" && len(words) == 0 {
		return refuse(flags, errors.New("no text for the agent"))
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	if *cancel != "" {
		return c.cancel(ctx, *cancel, *reason)
	}
	ctx, stop := untilReaderLeaves(ctx, os.Stdout)
	defer stop()
	out := &terminal{text: os.Stdout, notes: os.Stderr}
	if *watch != "" {
		err := c.watch(ctx, *watch, out)
		if errors.Is(err, errReaderGone) {
			return nil
		}
		return err
	}
	id, err := c.start(ctx, *agent, *thread, strings.Join(words, " "))
	if err != nil {
		return err
	}
	out.note("run %s\n", id)
	err = c.watch(ctx, id, out)
	why := "interrupted at the terminal"
	switch {
	case errors.Is(err, errReaderGone):
		why = errReaderGone.Error()
	case !errors.Is(err, context.Canceled):
		return err
	}
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer done()
	if err := c.cancel(stopping, id, why); err != nil || why == errReaderGone.Error() {
		return err
	}
	return errInterrupted
}

// untilReaderLeaves returns a context that ends with errReaderGone when the reader of f closes its end, also while
// nothing is written, and when the terminal goes away.
func untilReaderLeaves(ctx context.Context, f *os.File) (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE) // else a write would end the program before it stops the run
	ctx, leave := context.WithCancelCause(ctx)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		context.AfterFunc(ctx, stop)
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			if readerGone(int(f.Fd()), readerPoll) {
				leave(errReaderGone)
			}
		}
	}()
	return ctx, func() {
		leave(context.Canceled)
		<-watched
	}
}

// readerPoll is how long one look for a reader takes, and so the longest that the program waits for it at its end.
const readerPoll = 100 * time.Millisecond

// watch prints a run until it ends, and connects again where it was whenever the connection breaks.
// It returns errReaderGone or context.Canceled when the context ended, and a runError for a run that did not complete.
func (c apiClient) watch(ctx context.Context, id string, out *terminal) error {
	after, broken := int64(0), false
	for {
		before := after
		ended, err := c.follow(ctx, id, &after, out)
		var refused *refusedError
		switch {
		case ended:
			return err
		case errors.Is(err, syscall.EPIPE):
			return errReaderGone
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &refused) && refused.status < 500:
			return err
		}
		if !broken || after > before {
			out.note("\n(the connection broke: trying again)\n")
		}
		broken = true
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

// follow shows a run's events from a position until the connection ends or the run does; for a run that did not complete
// it returns a runError with ended.
func (c apiClient) follow(ctx context.Context, id string, after *int64, out *terminal) (ended bool, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/runs/"+id+"/stream", nil, http.Header{"Last-Event-ID": {strconv.FormatInt(*after, 10)}})
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return true, nil
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	closed := false
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			closed = closed || lines.Text() == "event: "+api.EventClosed
			continue
		}
		if closed {
			return false, closedError(data)
		}
		var e event.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return false, err
		}
		*after = e.Seq
		if err := out.show(e); err != nil || e.Final() {
			return e.Final(), err
		}
	}
	return false, lines.Err()
}

// closedError says why the server ended the stream: the credential does not hold any more, so trying again is no use.
func closedError(data string) error {
	var why api.StreamClosed
	if err := json.Unmarshal([]byte(data), &why); err != nil {
		return err
	}
	return &refusedError{http.StatusUnauthorized, "the server ended the stream: " + why.Detail}
}
