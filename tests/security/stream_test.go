package security

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/tenants"
	"github.com/larirun/lari/tests/contract"
	"github.com/larirun/lari/tests/harness"
)

// TestStream_EndsWithItsCredential takes credentials away while streams and waiting requests are open with them.
func TestStream_EndsWithItsCredential(t *testing.T) {
	t.Parallel()
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	x := p.NewTenant(t, agents.Config{})
	ctx := x.Context(t.Context())
	run := x.StartRun(t, `{"input": "later", "after_seconds": 3000}`)
	key, plain, err := p.App.Tenants.CreateKey(ctx, tenants.NewKey{Name: "test", Role: auth.RoleOperator})
	if err != nil {
		t.Fatal(err)
	}
	token := func(subject string, ttl time.Duration) string {
		return authtest.SignHS256(t, []byte(harness.Secret), nil, claims(x.ID, func(c jwt.MapClaims) {
			c["sub"], c["exp"] = subject, time.Now().Add(ttl).Unix()
		}))
	}
	member := func(user string, role auth.Role) {
		t.Helper()
		if a := x.Do(t, "PUT", "/v1/tenants/"+x.ID.String()+"/members/"+user, map[string]any{"role": role}); a.Status/100 != 2 {
			t.Fatalf("%s as %s: %d %s", user, role, a.Status, a.Body)
		}
	}
	member("keeper", auth.RoleOwner)
	member("removed", auth.RoleAdmin)
	member("lowered", auth.RoleAdmin)

	open := func(method, path, body, credential string) *http.Response {
		t.Helper()
		q := *x
		q.Token = credential
		var content any
		if body != "" {
			content = body
		}
		req, err := q.Request(t.Context(), method, path, content)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	stream := "/v1/runs/" + run.ID.String() + "/stream"
	later := `{"input": "later", "after_seconds": 3000}`
	streams := map[string]struct {
		resp *http.Response
		code string
	}{
		"revoked key":       {open("GET", stream, "", plain), "unauthenticated"},
		"revoked key, POST": {open("POST", "/v1/runs/stream", later, plain), "unauthenticated"},
		"expired token":     {open("GET", stream, "", token("someone", 3*time.Second)), "unauthenticated"},
		"removed member":    {open("GET", stream, "", token("removed", time.Hour)), "forbidden"},
		"lowered role":      {open("POST", "/v1/runs/stream", later, token("lowered", time.Hour)), "forbidden"},
	}
	waiting := make(chan *http.Response, 1)
	go func() { waiting <- open("POST", "/v1/runs/wait", later, plain) }()
	harness.Eventually(t, 20*time.Second, "the waiting request has made its run", func() bool { return count(t, s, x, "agent_runs") == 4 })
	if err := p.App.Tenants.RevokeKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	x.Do(t, "DELETE", "/v1/tenants/"+x.ID.String()+"/members/removed", nil).Want(t, 204)
	member("lowered", auth.RoleViewer)

	for name, c := range streams {
		if c.resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", name, c.resp.StatusCode)
		}
		var last contract.Event
		events := contract.NewEvents(c.resp.Body)
		for {
			e, err := events.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			last = e
		}
		var why struct{ Code, Detail string }
		if err := json.Unmarshal(last.Data, &why); err != nil || last.Type != "stream_closed" || why.Code != c.code || why.Detail == "" || last.ID != "" {
			t.Errorf("%s: the stream ends with %+v %s", name, last, last.Data)
		}
	}
	resp := <-waiting
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the waiting request is answered with %s", resp.Status)
	}
}
