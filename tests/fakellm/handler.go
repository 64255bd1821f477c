package fakellm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody bounds a request, in bytes.
const maxBody = 32 << 20

// Why an answer stopped before its end.
var (
	errLeft    = errors.New("the client left")
	errClosing = errors.New("the server closes")
	errCut     = errors.New("cut by the script")
	errFailed  = errors.New("failed by the script")
)

// request is what rules look at.
type request struct {
	model      string
	lastUser   string
	afterTools bool
	stream     bool
	usage      bool // the client asks for usage
}

// dialect is one wire format.
type dialect interface {
	name() string
	key(h http.Header) string
	parse(body []byte) (request, error)
	problem(status int) string
	// check reports what a strict provider refuses of a request.
	check(body []byte) error
	// checkThoughts reports what is missing of the thoughts that were handed out.
	checkThoughts(style Thoughts, body []byte) error
	// pieces gives the events before the content, one list of events for each chunk of content, and
	// the events after it.
	pieces(q request, r Reply) (before []string, chunks [][]string, after []string)
	streamError(object string) string
}

func (s *Server) handle(d dialect) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.active.Add(1)
		defer s.active.Done()
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return // the client left while it sent
		}
		q, err := d.parse(body)
		entry := Record{Protocol: d.name(), Model: q.model, LastUser: q.lastUser, AfterTools: q.afterTools}
		if s.options.KeepBodies {
			entry.Header, entry.Body = r.Header.Clone(), body
		}
		record, n := s.journal.open(entry)
		left := false
		defer func() { s.journal.end(record, left) }()

		switch {
		case s.options.APIKey != "" && d.key(r.Header) != s.options.APIKey:
			s.fail(w, d, &Failure{Status: http.StatusUnauthorized})
		case err != nil, !q.stream:
			s.fail(w, d, &Failure{Status: http.StatusBadRequest})
		case s.refused(w, d, body), s.missing(w, d, body):
		default:
			err := s.answer(r.Context(), w, d, q, s.choose(q, n), record)
			left = errors.Is(err, errLeft)
			if errors.Is(err, errCut) || errors.Is(err, errClosing) {
				cut(w) // else net/http would end the answer properly
			}
		}
	}
}

// refused answers a request that a strict provider does not take; it reports whether it did.
func (s *Server) refused(w http.ResponseWriter, d dialect, body []byte) bool {
	if !s.options.Strict {
		return false
	}
	err := d.check(body)
	if err != nil {
		s.fail(w, d, &Failure{Status: http.StatusBadRequest, Body: marshal(object{"error": object{
			"type": "invalid_request_error", "message": "refused: " + err.Error(),
		}})})
	}
	return err != nil
}

// answer streams the reply, or says why it stopped.
func (s *Server) answer(ctx context.Context, w http.ResponseWriter, d dialect, q request, r Reply, record *Record) error {
	switch {
	case r.Hang:
		return s.pause(ctx, 0, true)
	case r.Failure != nil:
		s.fail(w, d, r.Failure)
		return nil
	case r.Wire != nil:
		return s.play(ctx, w, *r.Wire)
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	flush := http.NewResponseController(w).Flush
	before, chunks, after := d.pieces(q, r.of(s.options.Thoughts))
	if err := send(ctx, w, flush, before); err != nil {
		return err
	}
	for i, events := range chunks {
		if err := s.between(ctx, w, flush, d, r, i); err != nil {
			return err
		}
		if err := s.gateAndPace(ctx, r); err != nil {
			return err
		}
		if err := send(ctx, w, flush, events); err != nil {
			return err
		}
		s.journal.chunk(record)
	}
	if err := s.between(ctx, w, flush, d, r, len(chunks)); err != nil {
		return err
	}
	if r.CutAtEnd {
		return errCut
	}
	return send(ctx, w, flush, after)
}

// between does what the script wants after so many chunks were sent.
func (s *Server) between(ctx context.Context, w http.ResponseWriter, flush func() error, d dialect, r Reply, sent int) error {
	switch {
	case r.CutAfter > 0 && sent == r.CutAfter:
		return errCut
	case r.HangAfter > 0 && sent == r.HangAfter:
		return s.pause(ctx, 0, true)
	case r.StreamError != "" && sent == r.FailAfter:
		if err := send(ctx, w, flush, []string{d.streamError(r.StreamError)}); err != nil {
			return err
		}
		return errFailed
	}
	return nil
}

// gateAndPace holds a chunk back until it may be sent.
func (s *Server) gateAndPace(ctx context.Context, r Reply) error {
	if r.Delay > 0 {
		if err := s.pause(ctx, r.Delay, false); err != nil {
			return err
		}
	}
	if !r.Gated {
		return nil
	}
	select {
	case <-s.gate:
		return nil
	case <-ctx.Done():
		return s.reason()
	case <-s.closing:
		return errClosing
	}
}

// pause waits for d, or without end.
func (s *Server) pause(ctx context.Context, d time.Duration, forever bool) error {
	var passed <-chan time.Time
	if !forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return s.reason()
	case <-s.closing:
		return errClosing
	}
}

// reason tells a client that left from a server that closed the connection itself.
func (s *Server) reason() error {
	select {
	case <-s.closing:
		return errClosing
	default:
		return errLeft
	}
}

// send writes events and flushes them, so that each chunk is on the wire when it is counted.
func send(ctx context.Context, w io.Writer, flush func() error, events []string) error {
	if ctx.Err() != nil {
		return errLeft
	}
	if len(events) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, strings.Join(events, "")); err != nil {
		return errLeft
	}
	if err := flush(); err != nil {
		return errLeft
	}
	return nil
}

func (s *Server) fail(w http.ResponseWriter, d dialect, f *Failure) {
	body := f.Body
	if body == "" {
		body = d.problem(f.Status)
	}
	w.Header().Set("Content-Type", "application/json")
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, body) // a client that left needs no error
}

// cut breaks the connection under the answer, without the end that HTTP demands.
func cut(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // HTTP/2 or already gone: the client sees a shorter stream
	}
	_ = connection.Close()
}
