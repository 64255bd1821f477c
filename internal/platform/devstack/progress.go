package devstack

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// progress writes whole lines for people; Postgres and Temporal start side by side and share it.
type progress struct {
	mu  sync.Mutex
	out io.Writer
}

func newProgress(out io.Writer) *progress {
	if out == nil {
		out = io.Discard
	}
	return &progress{out: out}
}

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, format+"\n", args...) // a closed terminal must not fail the start
}

// repeat writes the line again with the time passed, every period, until the returned function is called.
// A quick step therefore says one line only.
func (p *progress) repeat(ctx context.Context, period time.Duration, what string) (stop func()) {
	p.line("%s", what)
	begun := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		ticker := time.NewTicker(period)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.line("%s … %s", what, time.Since(begun).Round(time.Second))
			}
		}
	}()
	return func() {
		cancel()
		<-finished
	}
}
