package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
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
	} {
		if got := r.Detail(test.in); got != test.want {
			t.Errorf("%q became %q, want %q", test.in, got, test.want)
		}
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
