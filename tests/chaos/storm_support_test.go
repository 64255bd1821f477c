package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.temporal.io/api/serviceerror"

	"github.com/larirun/lari/tests/harness"
	"github.com/larirun/lari/workflows"
)

const alertsSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" //nolint:gosec // G101: of the test

// receiver takes webhooks over HTTP and fails three requests of ten, in one way or another.
type receiver struct {
	url      string
	verifier *standardwebhooks.Webhook

	mu       sync.Mutex
	chance   *rand.Rand
	taken    map[string]int // by webhook-id: how often it was taken
	unsigned []string       // what came without a valid signature
	requests int
}

func newReceiver(t *testing.T, seed uint64) *receiver {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(alertsSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{verifier: verifier, chance: rand.New(rand.NewPCG(seed, 1)), taken: map[string]int{}} //nolint:gosec // repeatable on purpose
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP takes a webhook, or fails before it has.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	id := req.Header.Get(standardwebhooks.HeaderWebhookID)
	if err := r.verifier.Verify(body, req.Header); err != nil {
		r.unsigned = append(r.unsigned, fmt.Sprintf("%s: %v", id, err))
	}
	switch r.chance.IntN(10) {
	case 0:
		w.WriteHeader(http.StatusInternalServerError)
	case 1:
		w.WriteHeader(http.StatusTooManyRequests)
	case 2:
		panic(http.ErrAbortHandler) // the connection breaks
	default:
		r.taken[id]++
	}
}

// got gives what was taken, and how many requests it took.
func (r *receiver) got() (taken map[string]int, unsigned []string, requests int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken = make(map[string]int, len(r.taken))
	for id, n := range r.taken {
		taken[id] = n
	}
	return taken, r.unsigned, r.requests
}

// caller starts runs as a client does that is told to expect trouble: with an idempotency key, again and
// again until a run is there.
type caller struct {
	x     harness.Tenant
	urls  *[apis]atomic.Pointer[string]
	retry atomic.Int64
}

func (c *caller) start(ctx context.Context, n int) (uuid.UUID, error) {
	key := fmt.Sprintf("storm-%d", n)
	input := "tell me"
	if n%4 == 0 {
		input = "compute this"
	}
	for try := n; ; try++ {
		x := c.x
		x.URL = *c.urls[try%apis].Load()
		a, err := x.Try(ctx, http.MethodPost, "/v1/runs", fmt.Sprintf(`{"input": %q}`, input), "Idempotency-Key", key)
		var r harness.Run
		if err == nil && a.Status == http.StatusAccepted {
			err := json.Unmarshal(a.Body, &r)
			return r.ID, err
		}
		if err == nil && a.Status < 500 && a.Status != http.StatusConflict {
			return uuid.Nil, fmt.Errorf("run %d was refused: %d %s", n, a.Status, a.Body)
		}
		c.retry.Add(1)
		select {
		case <-ctx.Done():
			return uuid.Nil, fmt.Errorf("run %d was not accepted: %w, %d %s", n, errors.Join(err, ctx.Err()), a.Status, a.Body)
		case <-time.After(100 * time.Millisecond): // a client's own pause
		}
	}
}

// terminate closes the run's workflow behind its back after a while, if it is still open then.
func terminate(ctx context.Context, s *harness.System, x *harness.Tenant, id uuid.UUID, after time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(after):
	}
	err := s.Temporal.TerminateWorkflow(ctx, workflows.RunWorkflowID(x.ID, id), "", "the storm")
	var closed *serviceerror.NotFound
	if errors.As(err, &closed) {
		return nil
	}
	return err
}
