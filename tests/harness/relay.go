package harness

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
)

// Relay stands where Temporal sends its callbacks and hands them to a process.
type Relay struct {
	URL  string
	Took chan Callback // what was handed on; what nobody takes in time is left out
	Down atomic.Int32  // how many callbacks are to be answered with 503

	to atomic.Pointer[http.Handler]
}

// Callback is one that was handed on, and how it was answered.
type Callback struct {
	Header http.Header
	Status int
}

// StartCalledBack starts a process with every role that Temporal tells of closed workflows.
func (s *System) StartCalledBack(t testing.TB) (*Process, *Relay) {
	t.Helper()
	r := &Relay{Took: make(chan Callback, 64)}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	cfg := s.Config
	cfg.Reconcile.CallbackURL, cfg.Reconcile.CallbackSecret = config.NewURL(r.URL), config.NewSecret(Secret)
	p := s.StartWith(t, cfg, All, func(a *app.App) {
		handler := a.Callback()
		r.to.Store(&handler)
	})
	return p, r
}

// ServeHTTP hands a callback on.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	to := r.to.Load()
	if to == nil || r.Down.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	answer := httptest.NewRecorder()
	(*to).ServeHTTP(answer, req)
	w.WriteHeader(answer.Code)
	select {
	case r.Took <- Callback{req.Header.Clone(), answer.Code}:
	default:
	}
}
