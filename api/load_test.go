package api

import (
	"bufio"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
)

// gatedRoutes are routes whose functions say that they were entered and go on when the gate is opened.
func gatedRoutes(entered chan<- uuid.UUID, gate <-chan struct{}) []Route {
	wait := func(ctx context.Context) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	id := meta("getThing")
	return []Route{
		Handle("GET", "/v1/things", auth.RunRead, id, func(ctx context.Context, _ *None) (thingView, error) {
			entered <- uuid.Nil
			return thingView{}, wait(ctx)
		}),
		Stream("GET", "/v1/things/stream", auth.RunRead, meta("followThings"), func(context.Context, *None) (Source, error) {
			return func(ctx context.Context, send func(...Frame) error) error {
				if err := send(Frame{Event: "opened", Data: []byte("{}")}); err != nil {
					return err
				}
				return wait(ctx)
			}, nil
		}),
	}
}

// However many requests a tenant sends, so many are worked on, and another tenant's is worked on at once.
func TestRequests_OfATenantAreWorkedOnInBoundedNumber(t *testing.T) {
	t.Parallel()
	entered, gate := make(chan uuid.UUID, 100), make(chan struct{})
	r := start(t, gatedRoutes(entered, gate), func(d *Deps) { d.Config.RequestsAtOnce = 2 })
	var flood sync.WaitGroup
	statuses := make(chan int, 100)
	token := r.token(t, auth.RoleViewer)
	for range 66 + 5 { // two are worked on, 64 wait, and the others are too many
		flood.Go(func() {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/things", nil)
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") == "" {
				t.Error("a refusal does not say when to come back")
			}
			statuses <- resp.StatusCode
		})
	}
	<-entered
	<-entered
	for range 5 {
		if status := <-statuses; status != http.StatusTooManyRequests {
			t.Errorf("a request was answered with %d", status)
		}
	}
	if n := len(entered); n != 0 {
		t.Errorf("%d more requests are worked on", n)
	}
	r.tenant = uuid.Must(uuid.NewV7())
	flood.Go(func() {
		if a := r.do(t, request{method: "GET", path: "/v1/things", role: auth.RoleViewer}); a.status != 200 {
			t.Errorf("the other tenant gets %d", a.status)
		}
	})
	<-entered // while the flood stands
	close(gate)
	flood.Wait()
	close(statuses)
	for status := range statuses {
		if status != http.StatusOK {
			t.Errorf("a request that waited for its turn got %d", status)
		}
	}
	if n := len(r.adapter.load.tenants); n != 0 {
		t.Errorf("%d tenants are remembered", n)
	}
}

func TestStreams_OfATenantAndOfACallerAreBounded(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	three := 3
	r := start(t, gatedRoutes(make(chan uuid.UUID, 1), gate), func(d *Deps) {
		d.Config.StreamsPerCaller, d.Config.Heartbeat = 2, 50*time.Millisecond
		d.Streams = func(context.Context) (*int, error) { return &three, nil }
	})
	open := func(subject string) *http.Response {
		t.Helper()
		token, err := auth.Mint(secret, auth.MintConfig{Tenant: r.tenant, Role: auth.RoleViewer, Subject: subject, TTL: 1e12})
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/v1/things/stream", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	wantOpen := func(resp *http.Response) {
		t.Helper()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() && !strings.HasPrefix(lines.Text(), "event: opened") {
		}
		if resp.StatusCode != 200 || lines.Err() != nil {
			t.Fatalf("a stream was answered with %d, %v", resp.StatusCode, lines.Err())
		}
	}
	wantRefused := func(resp *http.Response, word string) {
		t.Helper()
		a := answer{status: resp.StatusCode, header: resp.Header, body: readAll(t, resp)}
		if p := a.problem(t, fault.QuotaExceeded); !strings.Contains(p.Detail, word) {
			t.Errorf("refused with %q", p.Detail)
		}
	}
	first := open("ada")
	wantOpen(first)
	wantOpen(open("ada"))
	wantRefused(open("ada"), "caller")
	wantOpen(open("bob"))
	wantRefused(open("eve"), "quota streams")
	if a := r.do(t, request{method: "HEAD", path: "/v1/things/stream", role: auth.RoleViewer}); a.status != 429 {
		t.Errorf("HEAD is answered with %d", a.status)
	}
	mine := r.tenant
	r.tenant = uuid.Must(uuid.NewV7()) // has its own
	wantOpen(open("ada"))
	r.tenant = mine
	_ = first.Body.Close() // frees its place, when the server has noticed
	for {
		resp := open("eve")
		if resp.StatusCode == 200 {
			wantOpen(resp)
			break
		}
		wantRefused(resp, "quota streams")
	}
	close(gate)
}

// Bad credentials from one address are answered with 429 before long. Those who have good ones are not kept out by
// their neighbour, and who only pretends to come from elsewhere is not let off.
func TestFailedAuthentication_IsLimitedByAddress(t *testing.T) {
	t.Parallel()
	looked := 0
	keys, err := auth.NewKeys(findsNoKey{&looked})
	if err != nil {
		t.Fatal(err)
	}
	proxied := func(d *Deps) { d.Config.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	for name, change := range map[string]func(*Deps){"direct": func(*Deps) {}, "behind a proxy": proxied} {
		r := start(t, thingRoutes(), func(d *Deps) { d.Config.AuthFailures, d.Auth.Keys = 5, keys }, change)
		from := func(address, credential string) int {
			return r.do(t, request{method: "GET", path: "/v1/things", header: map[string]string{"X-Forwarded-For": address, "Authorization": "Bearer " + credential}}).status
		}
		for i := range 5 {
			if status := from("192.0.2.1", "garbage"); status != 401 {
				t.Fatalf("%s: failure %d is answered with %d", name, i+1, status)
			}
		}
		a := r.do(t, request{method: "GET", path: "/v1/things", header: map[string]string{"X-Forwarded-For": "192.0.2.1", "Authorization": "Bearer garbage"}})
		a.problem(t, fault.RateLimited)
		plain, _, _, err := auth.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		before := looked
		if status := from("192.0.2.1", plain); status != 429 || looked != before {
			t.Errorf("%s: a guessed key is answered with %d after %d lookups", name, status, looked-before)
		}
		if status := from("192.0.2.1", r.token(t, auth.RoleViewer)); status != 200 {
			t.Errorf("%s: a good token from the same address is answered with %d", name, status)
		}
		want := map[string]int{"direct": 429, "behind a proxy": 401}[name] // nobody's word is taken where no proxy is known
		if status := from("192.0.2.2", "garbage"); status != want {
			t.Errorf("%s: another address is answered with %d, want %d", name, status, want)
		}
		if status := r.do(t, request{method: "GET", path: "/v1/things"}).status; status != 401 {
			t.Errorf("%s: a request without a credential is answered with %d", name, status)
		}
	}
}

// findsNoKey is a store without keys that counts who asks.
type findsNoKey struct{ asked *int }

func (f findsNoKey) FindKey(context.Context, string) (auth.KeyRecord, error) {
	*f.asked++
	return auth.KeyRecord{}, fault.New(fault.NotFound, "There is no such key.")
}

func (f findsNoKey) FindKeys(context.Context, []string) ([]auth.KeyRecord, error) {
	*f.asked++
	return nil, nil
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	var b strings.Builder
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		b.WriteString(lines.Text())
	}
	return b.String()
}
