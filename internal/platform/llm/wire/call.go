package wire

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
)

// DefaultIdle is how long a provider may stay silent when the configuration does not say.
const DefaultIdle = 60 * time.Second

// heartbeatFactor is how many times the idle time a provider may take for the next piece of its answer
// while it says by heartbeats that it is there: some models think for minutes before the first word.
const heartbeatFactor = 3

// pieceFactor is how much longer the end is waited for when the reason came with a piece of the answer.
const pieceFactor = 3

// DefaultFinishWait is how long the end of the stream may be in coming once the model has said why it
// stopped: only the usage is due then.
const DefaultFinishWait = 2 * time.Second

// maxProblem bounds what is read of an error answer, in bytes.
const maxProblem = 64 << 10

var (
	errIdle     = errors.New("no byte from the provider for too long")
	errStalled  = errors.New("only heartbeats from the provider for too long")
	errFinished = errors.New("the answer is complete")
)

// Limits bound how long a provider may take. Only waiting for the provider counts.
type Limits struct {
	Idle time.Duration // without a byte; zero or less: DefaultIdle
	// Stall is without a piece of the answer, whatever heartbeats come; zero or less: three times Idle.
	Stall time.Duration
	// Finish is from the reason for which the model stopped to the end of the stream; zero or less:
	// DefaultFinishWait.
	Finish time.Duration
}

// Within returns the limits for a request that may not wait longer than patience for a piece of its
// answer; zero or less: as they are.
func (l Limits) Within(patience time.Duration) Limits {
	if l.Idle <= 0 {
		l.Idle = DefaultIdle
	}
	if l.Stall <= 0 {
		l.Stall = heartbeatFactor * l.Idle
	}
	if l.Finish <= 0 {
		l.Finish = DefaultFinishWait
	}
	if patience > 0 {
		l.Idle, l.Stall = min(l.Idle, patience), min(l.Stall, patience)
	}
	return l
}

// Call is one request to a provider. It belongs to one goroutine, which must End it.
type Call struct {
	provider string
	origin   string // the provider and its host
	redact   Redactor
	parent   context.Context // held because a Call lives exactly as long as the request made with it
	ctx      context.Context
	cancel   context.CancelCauseFunc
	limits   Limits
	left     time.Duration // until the next piece of the answer is overdue
	finished time.Duration // how long the end may be in coming, once the model has said why it stopped; zero: it has not
}

// From says where the answer comes from, for the data of a provider that only the same one may be sent back.
func (c *Call) From(origin string) { c.origin = origin }

// Begin starts a call and returns the context to make its request with. That context ends with ctx,
// with End, or when a limit passes.
func Begin(ctx context.Context, provider string, redact Redactor, limits Limits) (context.Context, *Call) {
	limits = limits.Within(0)
	c := &Call{provider: provider, redact: redact, parent: ctx, limits: limits, left: limits.Stall}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	return c.ctx, c
}

// await starts a wait for the provider, which the returned function ends. The call ends when a limit passes
// before that.
func (c *Call) await() (arrived func()) {
	limit, why := c.limits.Idle, errIdle
	switch {
	case c.finished > 0:
		limit, why = c.left, errFinished
	case c.left < limit:
		limit, why = c.left, errStalled
	}
	// One timer for each wait: its reason must not change under it.
	timer := time.AfterFunc(limit, func() { c.cancel(why) })
	began := time.Now()
	return func() {
		timer.Stop()
		c.left -= time.Since(began)
	}
}

// progress notes that a piece of the answer came.
func (c *Call) progress() {
	c.left = c.limits.Stall
	if c.finished > 0 {
		c.left = c.finished
	}
}

// finish notes that the model has said why it stopped: from then on little is awaited. Said with a piece of
// the answer, it may be the habit of a server that says it with each.
func (c *Call) finish(withPiece bool) {
	c.finished = c.limits.Finish
	if withPiece {
		c.finished *= pieceFactor
	}
	c.progress()
}

// resume notes that the answer goes on, whatever was said before.
func (c *Call) resume() {
	c.finished = 0
	c.progress()
}

// End releases the call and aborts what is still open of it.
func (c *Call) End() {
	c.cancel(context.Canceled)
}

// Middleware fits the SDKs' middleware. It watches the answer's headers and body for silence and
// turns every answer that is not an event stream into an *llm.Error.
func (c *Call) Middleware(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	arrived := c.await()
	resp, err := next(req)
	arrived()
	if err != nil || resp == nil {
		return resp, err
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, call: c}
	if resp.StatusCode < http.StatusMultipleChoices && streams(resp) {
		return resp, nil
	}
	text, readErr := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	closeErr := resp.Body.Close()
	if c.ctx.Err() != nil {
		// The status is known, but the context ended first and says more.
		return nil, errors.Join(readErr, closeErr, c.ctx.Err())
	}
	return nil, c.refusal(resp, text)
}

// streams is lenient: some compatible servers leave the content type out or call it text/plain. JSON
// or HTML is certainly no stream: an error with status 200, or a base URL that points at a web page.
func streams(resp *http.Response) bool {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err != nil || (media != "application/json" && media != "text/html")
}

// watchedBody counts silence only while a Read waits.
type watchedBody struct {
	io.ReadCloser
	call *Call
}

// Read reads, and ends the call when a limit passes.
func (b *watchedBody) Read(p []byte) (int, error) {
	arrived := b.call.await()
	defer arrived()
	return b.ReadCloser.Read(p)
}

// Client gives the HTTP client of a provider: base, or one of its own when base is nil, that follows
// no redirect. A redirect would carry the key to another host: net/http strips Authorization then,
// but not X-Api-Key.
func Client(base *http.Client) *http.Client {
	if base == nil {
		base = &http.Client{Transport: newTransport()}
	}
	client := *base
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// newTransport keeps more idle connections than net/http's two per host: all of a worker's turns go
// to the same host.
func newTransport() http.RoundTripper {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // replaced by the embedding program, for tracing say: keep its choice
		return http.DefaultTransport
	}
	transport = transport.Clone()
	transport.MaxIdleConns = 256
	transport.MaxIdleConnsPerHost = 256
	return transport
}
