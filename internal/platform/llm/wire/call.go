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

// maxProblem bounds what is read of an error answer, in bytes.
const maxProblem = 64 << 10

var errIdle = errors.New("no byte from the provider for too long")

// Call is one request to a provider. It belongs to one goroutine, which must End it.
type Call struct {
	provider string
	redact   Redactor
	parent   context.Context // held because a Call lives exactly as long as the request made with it
	ctx      context.Context
	cancel   context.CancelCauseFunc
	idle     time.Duration
	timer    *time.Timer
}

// Begin starts a call and gives the context to make its request with. That context ends with ctx,
// with End, or when the provider is silent for idle (zero or less: DefaultIdle).
func Begin(ctx context.Context, provider string, redact Redactor, idle time.Duration) (context.Context, *Call) {
	if idle <= 0 {
		idle = DefaultIdle
	}
	c := &Call{provider: provider, redact: redact, parent: ctx, idle: idle}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(idle, func() { c.cancel(errIdle) })
	c.timer.Stop()
	return c.ctx, c
}

// End releases the call and aborts what is still open of it.
func (c *Call) End() {
	c.timer.Stop()
	c.cancel(context.Canceled)
}

// Middleware fits the SDKs' middleware. It watches the answer's headers and body for silence and
// turns every answer that is not an event stream into an *llm.Error.
func (c *Call) Middleware(req *http.Request, next func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	c.timer.Reset(c.idle)
	resp, err := next(req)
	c.timer.Stop()
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

// Read reads, and ends the call when the provider stays silent.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.call.timer.Reset(b.call.idle)
	n, err := b.ReadCloser.Read(p)
	b.call.timer.Stop()
	return n, err
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
