package connectors

import (
	"context"
	"fmt"
	"time"
)

// Report is what a remote connector tells of an attempt beside its error, for the delivery log.
type Report struct {
	StatusCode int    // of an HTTP answer; zero: there was none
	Response   string // the beginning of its body
}

type reportKey struct{}

// WithReport gives a context in which a connector's method can file a report.
func WithReport(ctx context.Context) (context.Context, *Report) {
	r := new(Report)
	return context.WithValue(ctx, reportKey{}, r), r
}

// File fills the report of the attempt, if somebody asked for one. It is called by the goroutine that the
// method was called on.
func File(ctx context.Context, r Report) {
	if asked, ok := ctx.Value(reportKey{}).(*Report); ok {
		*asked = r
	}
}

// Postponed is a connector's error that says: the receiver was not even tried, try again after a while.
// It is no attempt and stands in no delivery log.
type Postponed struct {
	After  time.Duration
	Reason string // for operators
}

func (p *Postponed) Error() string { return fmt.Sprintf("postponed by %s: %s", p.After, p.Reason) }
