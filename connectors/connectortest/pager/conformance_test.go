package pager

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/connectors/connectortest"
	"github.com/larirun/lari/internal/event"
)

func TestConformance(t *testing.T) {
	// at gives the pager with a real receiver; key is part of its address and nobody's business.
	const key = "pager-key-4711"
	at := func(t testing.TB, answer http.HandlerFunc) connectortest.Rig {
		server := httptest.NewServer(answer)
		t.Cleanup(server.Close)
		return connectortest.Rig{Connector: Pager{URL: server.URL + "/" + key}}
	}
	connectortest.Run(t, connectortest.Subject{
		New: func(t testing.TB) connectortest.Rig {
			var inbox inbox
			rig := at(t, inbox.receive)
			rig.Effects = inbox.effects
			return rig
		},
		Stalled: func(t testing.TB) connectortest.Rig {
			return at(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			})
		},
		Broken: map[string]func(t testing.TB) connectortest.Rig{
			"an answer of 500": func(t testing.TB) connectortest.Rig {
				return at(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
			},
			"nobody there": func(testing.TB) connectortest.Rig {
				return connectortest.Rig{Connector: Pager{URL: "http://127.0.0.1:1/" + key}}
			},
		},
		Secrets: []string{key},
	})
}

// inbox takes each Idempotency-Key once.
type inbox struct {
	mu   sync.Mutex
	keys []string
	took []connectortest.Effect
}

func (i *inbox) receive(_ http.ResponseWriter, r *http.Request) {
	run, _ := io.ReadAll(r.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	if key := r.Header.Get("Idempotency-Key"); !slices.Contains(i.keys, key) {
		i.keys = append(i.keys, key)
		i.took = append(i.took, connectortest.Effect{RunID: uuid.MustParse(string(run)), Type: event.RunError})
	}
}

func (i *inbox) effects() []connectortest.Effect {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.took)
}
