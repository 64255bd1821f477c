package security

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

// TestWebhook_SendsCanonicalURL: what a tenant wrote with other letters arrives percent-encoded, without its fragment.
func TestWebhook_SendsCanonicalURL(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.RequestURI }))
	t.Cleanup(receiver.Close)
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	url := receiver.URL + "/a%2Fb/höre?q=grün&id={1}"
	x.Do(t, "POST", "/v1/webhooks", map[string]any{"url": url, "events": []string{"run_started"}}).Want(t, 201)
	x.StartRun(t, map[string]any{"input": "hello", "webhook_url": url + "#teil"})
	for range 2 { // the webhook's run_started, and the run's own run_completed
		select {
		case got := <-asked:
			if want := "/a%2Fb/h%C3%B6re?q=gr%C3%BCn&id=%7B1%7D"; got != want {
				t.Errorf("the receiver is asked for %q, want %q", got, want)
			}
		case <-time.After(60 * time.Second):
			t.Fatal("no delivery")
		}
	}
	for _, bad := range []string{
		receiver.URL + "/\r\nX-Injected: 1", receiver.URL + "/a b", "http://user:pass@127.0.0.1/", "http://exa%00mple.com/", "http://example.com\\@127.0.0.1/", "//example.com/",
	} {
		x.Do(t, "POST", "/v1/webhooks", map[string]any{"url": bad, "events": []string{"run_started"}}).WantProblem(t, 422, "validation_failed")
		x.Do(t, "POST", "/v1/runs", map[string]any{"input": "hello", "webhook_url": bad}).WantProblem(t, 422, "validation_failed")
	}
}
