package engine

import (
	"context"
	"crypto/hmac"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/workflows"
)

const (
	maxCallbackBody = 4 << 20 // a workflow's result or failure, as large as a message of Temporal may be
	callbackLimit   = 10 * time.Second
)

// Settler looks after a run whose workflow has closed. nil means that the run's end is on record.
type Settler func(ctx context.Context, tenant, run uuid.UUID) error

// Handler hears Temporal's callbacks. What one says of a workflow is not believed but taken as a reason to
// look: a proof that leaked lets nobody end a run. It answers 2xx once the run's end is on record; Temporal
// repeats everything else, except what is answered with 4xx.
func (c *Callbacks) Handler(settle Settler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(callbackWorkflow)
		if !hmac.Equal([]byte(c.proof(id)), []byte(r.Header.Get(callbackProof))) {
			http.Error(w, "not a callback that was asked for", http.StatusUnauthorized)
			return
		}
		tenant, run, ok := workflows.ParseRunWorkflowID(id)
		if !ok {
			http.Error(w, "not the workflow of a run", http.StatusBadRequest)
			return
		}
		// Of no interest, but a connection is used again only when its request was read.
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxCallbackBody))
		if r.Header.Get(callbackState) == "succeeded" { // most do, and none of them before it has recorded its end
			w.WriteHeader(http.StatusNoContent)
			return
		}
		ctx, stop := context.WithTimeout(r.Context(), callbackLimit)
		defer stop()
		if err := settle(ctx, tenant, run); err != nil {
			c.log.WarnContext(ctx, "a run whose workflow closed could not be looked after; Temporal repeats the callback", "run_id", run, "error", err)
			http.Error(w, "not recorded yet", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}
