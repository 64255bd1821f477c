package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/larirun/lari/internal/platform/llm"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		ms, seconds string
		want        time.Duration
	}{
		"not said":            {"", "", 0},
		"seconds":             {"", "20", 20 * time.Second},
		"a fraction":          {"", "0.25", 250 * time.Millisecond},
		"milliseconds first":  {"300", "20", 300 * time.Millisecond},
		"a date":              {"", "Sun, 22 Nov 2026 10:00:45 GMT", 45 * time.Second},
		"a date that is past": {"", "Sun, 22 Nov 2026 09:00:45 GMT", 0},
		"nonsense":            {"soon", "later", 0},
		"negative":            {"", "-4", 0},
		"not a number":        {"", "NaN", 0},
		"for ever":            {"", "1e300", 24 * time.Hour},
		"infinite":            {"", "+Inf", 24 * time.Hour},
	} {
		header := http.Header{}
		header.Set("Retry-After-Ms", test.ms)
		header.Set("Retry-After", test.seconds)
		if got := RetryAfter(header, now); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestDetailIsFitToShow(t *testing.T) {
	t.Parallel()
	r := NewRedactor("our-own", "")
	for _, test := range []struct{ in, want string }{
		{"key our-own is wrong", "key [redacted] is wrong"},
		{"Incorrect API key: sk-proj-ab**cd.", "Incorrect API key: [redacted]"},
		{"sent Bearer abcdef, twice", "sent [redacted] twice"},
		{"two\r\nlines\x00", "two  lines"},
		{"broken \xff text", "broken \uFFFD text"},
		{"a task-force and a desk-lamp stay so", "a task-force and a desk-lamp stay so"},
		{"sk-learn has a key-value store", "sk-learn has a key-value store"},
		{"the bearer token is missing", "the bearer token is missing"},
		{"disown-own and our-owner", "disown-own and our-owner"},
	} {
		if got := r.Detail(test.in); got != test.want {
			t.Errorf("%q became %q, want %q", test.in, got, test.want)
		}
	}
	// Dummies of local servers are no secrets: they would black out letters of every message.
	for _, dummy := range []string{"x", "e", "no", "EMPTY", "ollama"} {
		const text = "extra tokens: no model named ollama, EMPTY list"
		if got := NewRedactor(dummy).Detail(text); got != text {
			t.Errorf("with the key %q: %q", dummy, got)
		}
	}
	if got := NewRedactor("0123456789abcdef").Detail("x0123456789abcdefx"); got != "x[redacted]x" {
		t.Errorf("a whole key inside of a word became %q", got)
	}
	long := r.Detail(strings.Repeat("é", 2000))
	if n := utf8.RuneCountInString(long); n != 500 || !strings.HasSuffix(long, "…") {
		t.Errorf("a long detail has %d characters", n)
	}
	err := fmt.Errorf("dial our-own: %w", io.EOF)
	if got := r.Error(err); strings.Contains(got.Error(), "our-own") {
		t.Errorf("the cause shows the key: %v", got)
	}
	if got := r.Error(io.EOF); !errors.Is(got, io.EOF) {
		t.Errorf("a harmless cause was replaced by %v", got)
	}
}

func TestEveryStatusHasAClass(t *testing.T) {
	t.Parallel()
	known := map[llm.Class]bool{}
	for _, c := range llm.Classes() {
		known[c] = true
	}
	for status := 100; status < 600; status++ {
		if class := classify(status, problem{}); !known[class] {
			t.Errorf("status %d has the class %q", status, class)
		}
	}
}

// body gives what is sent on the channel, as a connection would, until the context ends.
type body struct {
	ctx  context.Context
	data chan string
}

func (b body) Read(p []byte) (int, error) {
	select {
	case s, ok := <-b.data:
		if !ok {
			return 0, io.EOF
		}
		return copy(p, s), nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

func (body) Close() error { return nil }

func respond(c *Call, b io.ReadCloser) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, "http://localhost/", http.NoBody)
	if err != nil {
		return nil, err
	}
	return c.Middleware(req, func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: b, Request: r}, nil
	})
}

func TestOnlyTheProvidersSilenceCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, c := Begin(t.Context(), "x", NewRedactor(), Limits{Idle: time.Minute})
		defer c.End()
		data := make(chan string, 1)
		resp, err := respond(c, body{ctx, data})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		buffer := make([]byte, 8)
		for range 3 { // a reader that is busy elsewhere for longer than the limit
			time.Sleep(10 * time.Minute)
			data <- "x"
			if _, err := resp.Body.Read(buffer); err != nil {
				t.Fatalf("a slow reader was taken for a silent provider: %v", err)
			}
		}
		start := time.Now()
		_, err = resp.Body.Read(buffer)
		var failure *llm.Error
		if !errors.As(c.Failure(err, llm.Usage{OutputTokens: 7}), &failure) || failure.Class != llm.ClassTimeout || failure.Usage.OutputTokens != 7 {
			t.Errorf("failure %+v, want a timeout with its usage", failure)
		}
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("it waited %s", waited)
		}
	})
}

func TestTheCallersContextComesFirst(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	_, c := Begin(ctx, "x", NewRedactor(), Limits{})
	defer c.End()
	cancel()
	for _, err := range []error{io.EOF, &llm.Error{Class: llm.ClassAuth}, context.Canceled} {
		var got *llm.Interrupted
		if failure := c.Failure(err, llm.Usage{}); !errors.As(failure, &got) || !errors.Is(failure, context.Canceled) {
			t.Errorf("%v became %v, want the context's error", err, failure)
		}
	}
}

func TestEndAbortsTheRequest(t *testing.T) {
	t.Parallel()
	ctx, c := Begin(t.Context(), "x", NewRedactor(), Limits{})
	resp, err := respond(c, body{ctx, nil})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	c.End()
	if ctx.Err() == nil {
		t.Fatal("the request's context goes on")
	}
	if _, err := io.Copy(&bytes.Buffer{}, resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("reading after the end gave %v", err)
	}
}

// stream yields the turn of a server that sends pieces whenever the test writes them.
func stream(ctx context.Context, c *Call, data chan string) (text string, done *llm.Done, failure error) {
	resp, err := respond(c, body{ctx, data})
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	Stream(c, resp.Body, lines{}, llm.Request{Model: "m"}, func(chunk llm.Chunk, err error) bool {
		text += chunk.Text
		if chunk.Done != nil {
			done = chunk.Done
		}
		failure = err
		return true
	})
	return text, done, failure
}

// lines is the smallest format: text=reason, each of which may be missing, and "." for the end.
type lines struct{}

// Decode reads a line.
func (lines) Decode(t *Turn, e Event) {
	if string(e.Data) == "." {
		t.End()
		return
	}
	text, reason, _ := strings.Cut(string(e.Data), "=")
	t.Text(text)
	t.Finish(reason)
}

// timeline runs a stream on a clock that only the test moves: each piece comes so long after the one before it.
func timeline(t *testing.T, pieces ...any) (text string, done *llm.Done, failure error, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, c := Begin(t.Context(), "x", NewRedactor(), Limits{Idle: time.Minute})
		data := make(chan string)
		var server sync.WaitGroup
		server.Go(func() {
			for i := 0; i < len(pieces); i += 2 {
				pause, _ := pieces[i].(time.Duration)
				piece, _ := pieces[i+1].(string)
				time.Sleep(pause)
				select {
				case data <- piece:
				case <-ctx.Done():
					return
				}
			}
		})
		start := time.Now()
		text, done, failure = stream(ctx, c, data)
		took = time.Since(start)
		c.End()
		server.Wait()
	})
	return text, done, failure, took
}

const beat, hi, stop = ": beat\n\n", "data: hi\n\n", "data: =stop\n\n"

func TestStream_HeartbeatsAreNoProgress(t *testing.T) {
	t.Parallel()
	var beats []any
	for range 20 {
		beats = append(beats, 30*time.Second, beat)
	}
	_, _, failure, took := timeline(t, beats...)
	var got *llm.Error
	if !errors.As(failure, &got) || got.Class != llm.ClassTimeout || took != 3*time.Minute {
		t.Errorf("%v after %s, want a timeout after three minutes", failure, took)
	}
	text, done, failure, _ := timeline(t, append(append([]any{50 * time.Second, hi}, beats[:10]...), 20*time.Second, hi, 59*time.Second, stop)...)
	if done == nil || text != "hihi" {
		t.Errorf("%q, %v: a piece in between starts the time anew", text, failure)
	}
}

func TestStream_EndsSoonAfterTheReason(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pieces []any
		text   string
		took   time.Duration
	}{
		"no end":               {[]any{time.Second, hi, time.Second, stop}, "hi", 4 * time.Second},
		"heartbeats":           {[]any{time.Second, hi, time.Second, stop, time.Second, beat, 500 * time.Millisecond, beat, time.Second, beat}, "hi", 4 * time.Second},
		"the reason with text": {[]any{time.Second, "data: hi=stop\n\n", 5 * time.Second, "data: hi=stop\n\n", 50 * time.Second, hi, time.Second, "data: .\n\n"}, "hihihi", 57 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, done, failure, took := timeline(t, test.pieces...)
			if done == nil || done.Reason != llm.FinishStop || text != test.text || took != test.took {
				t.Errorf("%q, %+v, %v after %s; want %q after %s", text, done, failure, took, test.text, test.took)
			}
		})
	}
}
