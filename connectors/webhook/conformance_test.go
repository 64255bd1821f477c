package webhook_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/connectortest"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/platform/egress"
)

const (
	signingKey = "whsec_TGFyaSBzaWducyB3aXRoIHRoaXMgaW4gdGVzdHM="
	pathToken  = "T0K3N-in-the-path"
	queryToken = "T0K3N/in+the query" //nolint:gosec // G101: of the test
	address    = "/hooks/" + pathToken + "?key=T0K3N%2Fin%2Bthe+query"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]func(t testing.TB) webhook.Client{"guarded": guarded, "trusted": trusted} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Run(t, subject(client))
		})
	}
}

// guarded is the client for receivers that tenants choose, trusted the one for the operator's own.
func guarded(t testing.TB) webhook.Client {
	c := egress.New(egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true})
	t.Cleanup(c.Close)
	return c
}

func trusted(t testing.TB) webhook.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func subject(client func(t testing.TB) webhook.Client) connectortest.Subject {
	at := func(t testing.TB, url string) connectortest.Rig {
		t.Helper()
		c, err := webhook.New(webhook.Options{
			Name: "webhook", Target: func(e connectors.Event) string { return e.WebhookURL }, Client: client(t), Secret: signingKey,
			Gates: webhook.NewGates(webhook.Limits{Doubtful: 100, Failing: 100}),
		})
		if err != nil {
			t.Fatal(err)
		}
		return connectortest.Rig{Connector: c, Event: func(e connectors.Event) connectors.Event {
			e.WebhookURL = url + address
			return e
		}}
	}
	answering := func(answer http.HandlerFunc) func(t testing.TB) connectortest.Rig {
		return func(t testing.TB) connectortest.Rig { return at(t, serve(t, answer)) }
	}
	status := func(code int, header ...string) func(t testing.TB) connectortest.Rig {
		return answering(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		})
	}
	return connectortest.Subject{
		New: func(t testing.TB) connectortest.Rig {
			r := &inbox{t: t}
			rig := at(t, serve(t, r.receive))
			rig.Effects = r.effects
			return rig
		},
		Stalled: answering(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // before that the server does not notice that the client has left
			<-r.Context().Done()
		}),
		Slow: answering(drip),
		Broken: map[string]func(t testing.TB) connectortest.Rig{
			"an answer of 500":       status(http.StatusInternalServerError),
			"an answer of 410":       status(http.StatusGone),
			"a redirect":             status(http.StatusTemporaryRedirect, "Location", "http://169.254.169.254/latest"),
			"no listener":            func(t testing.TB) connectortest.Rig { return at(t, "http://"+freeAddress(t)) },
			"a name without address": func(t testing.TB) connectortest.Rig { return at(t, "http://receiver.invalid") },
			"no URL":                 func(t testing.TB) connectortest.Rig { return at(t, "http://[::1") },
			"an early end": answering(func(w http.ResponseWriter, _ *http.Request) {
				if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
					_ = conn.Close()
				}
			}),
		},
		Secrets: []string{signingKey, pathToken, queryToken},
	}
}

// serve listens on loopback until the test ends; handlers under way see their request's context end.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func drip(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		if _, err := w.Write([]byte(".")); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// inbox verifies what it gets and takes each webhook-id once, as Standard Webhooks advises.
type inbox struct {
	t testing.TB

	mu   sync.Mutex
	ids  map[string]bool
	took []connectortest.Effect
}

func (r *inbox) receive(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the connector gave up
	}
	verifier, err := standardwebhooks.NewWebhook(signingKey)
	if err == nil {
		err = verifier.Verify(body, req.Header)
	}
	if err != nil {
		r.t.Errorf("the signature: %v", err)
	}
	var m webhook.Message
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Errorf("the body: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := req.Header.Get(standardwebhooks.HeaderWebhookID)
	if !r.ids[id] {
		if r.ids == nil {
			r.ids = map[string]bool{}
		}
		r.ids[id] = true
		r.took = append(r.took, connectortest.Effect{RunID: m.Data.RunID, Type: m.Type})
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *inbox) effects() []connectortest.Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.took)
}
