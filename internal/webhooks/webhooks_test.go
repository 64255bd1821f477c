package webhooks_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/webhooks"
)

func TestAnEndpointIsFoundAsItWasMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	made, secret := w.create(ctx, t, webhooks.NewEndpoint{
		URL: "https://example.com/hook?key=1", Description: "ours", Events: []event.Type{event.RunError, event.RunStarted}, Agent: "helper",
		Fields: []string{"code", "usage"}, Headers: map[string]string{"Authorization": "Bearer hush", "X-Team": "blue"},
	})
	if key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")); err != nil || len(key) != 32 || !strings.HasPrefix(secret, "whsec_") {
		t.Errorf("the secret %q is not whsec_ and the base64 of 32 bytes", secret)
	}
	if !slices.Equal(made.Events, []event.Type{event.RunStarted, event.RunError}) || *made.AgentID != w.agent || made.Status != webhooks.Enabled ||
		made.CreatedBy != "test" || !slices.Equal(made.Fields, []string{"code", "usage"}) || len(made.Secrets) != 1 {
		t.Errorf("made %+v", made)
	}
	found, err := w.Find(ctx, made.ID)
	must(t, err)
	shown, err := json.Marshal(found)
	must(t, err)
	if strings.Contains(string(shown), "hush") || strings.Contains(string(shown), secret) || !strings.Contains(string(shown), `"Authorization":"********"`) {
		t.Errorf("shown %s", shown)
	}
	target, err := w.Target(ctx, made.ID)
	must(t, err)
	if target.URL != made.URL || !slices.Equal(target.Secrets, []string{secret}) || target.Headers["Authorization"] != "Bearer hush" || target.Disabled != "" {
		t.Errorf("to be sent: %+v", target)
	}
	all, _ := w.create(ctx, t, webhooks.NewEndpoint{})
	if !slices.Equal(all.Fields, []string{"*"}) || all.AgentID != nil || len(all.Headers) != 0 {
		t.Errorf("made without a filter: %+v", all)
	}
	listed, err := w.FindAll(ctx, page.Request{Limit: 1})
	must(t, err)
	if len(listed.Items) != 1 || listed.Items[0].ID != all.ID || listed.NextCursor == nil {
		t.Fatalf("the first page is %+v", listed)
	}
	rest, err := w.FindAll(ctx, page.Request{Limit: 1, Cursor: *listed.NextCursor})
	must(t, err)
	if len(rest.Items) != 1 || rest.Items[0].ID != made.ID || rest.NextCursor != nil {
		t.Errorf("the second page is %+v", rest)
	}
}

func TestWhatIsNoEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	header := func(name, value string) webhooks.NewEndpoint {
		return webhooks.NewEndpoint{Headers: map[string]string{name: value}}
	}
	tests := map[string]struct {
		n    webhooks.NewEndpoint
		want fault.Code
	}{
		"a fragment":           {webhooks.NewEndpoint{URL: "https://example.com/#here"}, fault.Invalid},
		"an empty fragment":    {webhooks.NewEndpoint{URL: "https://example.com/#"}, fault.Invalid},
		"not a URL":            {webhooks.NewEndpoint{URL: "here"}, fault.Invalid},
		"file":                 {webhooks.NewEndpoint{URL: "file:///etc/passwd"}, fault.Invalid},
		"userinfo":             {webhooks.NewEndpoint{URL: "https://a" + "@example.com/"}, fault.Invalid},
		"http":                 {webhooks.NewEndpoint{URL: "http://example.com/"}, fault.Forbidden},
		"decimal loopback":     {webhooks.NewEndpoint{URL: "https://2130706433/"}, fault.Forbidden},
		"mapped loopback":      {webhooks.NewEndpoint{URL: "https://[::ffff:127.0.0.1]/"}, fault.Forbidden},
		"metadata":             {webhooks.NewEndpoint{URL: "https://169.254.169.254/latest/"}, fault.Forbidden},
		"no events":            {webhooks.NewEndpoint{Events: []event.Type{}}, fault.Invalid},
		"another event":        {webhooks.NewEndpoint{Events: []event.Type{event.MessageDelta}}, fault.Invalid},
		"an unknown event":     {webhooks.NewEndpoint{Events: []event.Type{"run_done"}}, fault.Invalid},
		"an event twice":       {webhooks.NewEndpoint{Events: []event.Type{event.RunError, event.RunError}}, fault.Invalid},
		"an absent agent":      {webhooks.NewEndpoint{Agent: "nobody"}, fault.Invalid},
		"all fields and one":   {webhooks.NewEndpoint{Fields: []string{"*", "code"}}, fault.Invalid},
		"Host":                 {header("Host", "example.org"), fault.Invalid},
		"Content-Length":       {header("content-length", "0"), fault.Invalid},
		"Content-Type":         {header("Content-Type", "text/plain"), fault.Invalid},
		"Transfer-Encoding":    {header("Transfer-Encoding", "chunked"), fault.Invalid},
		"Connection":           {header("Connection", "Authorization"), fault.Invalid},
		"Proxy-Authorization":  {header("Proxy-Authorization", "x"), fault.Invalid},
		"X-Forwarded-For":      {header("X-Forwarded-For", "127.0.0.1"), fault.Invalid},
		"webhook-signature":    {header("Webhook-Signature", "v1,x"), fault.Invalid},
		"webhook-id":           {header("WEBHOOK-ID", "1"), fault.Invalid},
		"an underscore":        {header("webhook_signature", "v1,x"), fault.Invalid},
		"a name with a space":  {header("Authorization ", "x"), fault.Invalid},
		"a name with a colon":  {header("X: y", "x"), fault.Invalid},
		"an empty name":        {header("", "x"), fault.Invalid},
		"a long name":          {header(strings.Repeat("x", 65), "x"), fault.Invalid},
		"a name in another":    {header("Ｘ-Team", "x"), fault.Invalid},
		"a line break":         {header("Authorization", "Bearer x\r\nHost: y"), fault.Invalid},
		"a bare line feed":     {header("Authorization", "Bearer x\nHost: y"), fault.Invalid},
		"NUL":                  {header("Authorization", "x\x00"), fault.Invalid},
		"a space at the end":   {header("Authorization", "x "), fault.Invalid},
		"an empty value":       {header("Authorization", ""), fault.Invalid},
		"a long value":         {header("Authorization", strings.Repeat("x", 1025)), fault.Invalid},
		"a value not in ASCII": {header("Authorization", "é"), fault.Invalid},
		"the mask":             {header("Authorization", "********"), fault.Invalid},
		"a name twice":         {webhooks.NewEndpoint{Headers: map[string]string{"X-A": "1", "x-a": "2"}}, fault.Invalid},
	}
	good := w.tenant(t, "two")
	e, _ := w.create(good, t, webhooks.NewEndpoint{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := webhooks.Update{Events: tt.n.Events, Fields: tt.n.Fields, Headers: tt.n.Headers}
			if tt.n.URL == "" {
				tt.n.URL = "https://example.com/"
			} else {
				u.URL = &tt.n.URL
			}
			if tt.n.Agent != "" {
				u.Agent = &tt.n.Agent
			}
			if tt.n.Events == nil {
				tt.n.Events = []event.Type{event.RunError}
			}
			_, _, err := w.Create(ctx, tt.n)
			wantCode(t, err, tt.want)
			_, err = w.Update(good, e.ID, u)
			wantCode(t, err, tt.want)
		})
	}
	t.Cleanup(func() {
		if found, err := w.FindAll(w.withoutCancel(ctx), page.Request{}); err != nil || len(found.Items) != 0 {
			t.Errorf("%d endpoints were made (%v)", len(found.Items), err)
		}
	})
}

func TestHeadersThatATenantMaySet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	headers := map[string]string{"Authorization": "Bearer x y=z", "Cookie": "a=b", "X-Api-Key": "k", "x-team": strings.Repeat("~", 1024)}
	e, _ := w.create(ctx, t, webhooks.NewEndpoint{Headers: headers})
	target, err := w.Target(ctx, e.ID)
	must(t, err)
	if !maps.Equal(target.Headers, headers) {
		t.Errorf("to be sent: %v", target.Headers)
	}
}

func TestAnUpdateChangesWhatItNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	e, secret := w.create(ctx, t, webhooks.NewEndpoint{Agent: "helper", Fields: []string{"code"}, Headers: map[string]string{"X-A": "1"}})
	for name, step := range map[string]struct {
		u     webhooks.Update
		holds func(e webhooks.Endpoint, t webhooks.Target) bool
	}{
		"nothing": {webhooks.Update{}, func(n webhooks.Endpoint, t webhooks.Target) bool {
			return n.URL == e.URL && *n.AgentID == w.agent && t.Headers["X-A"] == "1" && slices.Equal(t.Fields, []string{"code"}) && slices.Equal(t.Secrets, []string{secret})
		}},
		"all fields": {webhooks.Update{Fields: []string{"*"}}, func(n webhooks.Endpoint, t webhooks.Target) bool { return t.Fields == nil && n.Fields[0] == "*" }},
		"no fields": {webhooks.Update{Fields: []string{}}, func(n webhooks.Endpoint, t webhooks.Target) bool {
			return t.Fields != nil && len(t.Fields) == 0 && len(n.Fields) == 0
		}},
		"every agent":  {webhooks.Update{Agent: ptr("*")}, func(n webhooks.Endpoint, _ webhooks.Target) bool { return n.AgentID == nil }},
		"no headers":   {webhooks.Update{Headers: map[string]string{}}, func(_ webhooks.Endpoint, t webhooks.Target) bool { return len(t.Headers) == 0 }},
		"another URL":  {webhooks.Update{URL: ptr("https://example.org/")}, func(_ webhooks.Endpoint, t webhooks.Target) bool { return t.URL == "https://example.org/" }},
		"other events": {webhooks.Update{Events: []event.Type{event.RunCancelled}}, func(n webhooks.Endpoint, _ webhooks.Target) bool { return n.Events[0] == event.RunCancelled }},
	} {
		changed, _ := w.create(ctx, t, webhooks.NewEndpoint{ID: e.ID}) // as it is
		if name != "nothing" {
			changed, _ = w.create(ctx, t, webhooks.NewEndpoint{Agent: "helper", Fields: []string{"code"}, Headers: map[string]string{"X-A": "1"}})
		}
		after, err := w.Update(ctx, changed.ID, step.u)
		must(t, err)
		target, err := w.Target(ctx, changed.ID)
		must(t, err)
		if !step.holds(after, target) {
			t.Errorf("%s: %+v, to be sent %+v", name, after, target)
		}
	}
}

func TestATenantHasAHundredEndpoints(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	var made, refused atomic.Int32
	var all sync.WaitGroup
	work := make(chan struct{}, 110)
	for range 110 {
		work <- struct{}{}
	}
	close(work)
	for range 8 {
		all.Go(func() {
			for range work {
				_, _, err := w.Create(ctx, webhooks.NewEndpoint{URL: "https://example.com/", Events: []event.Type{event.RunError}})
				switch {
				case err == nil:
					made.Add(1)
				case fault.Is(err, fault.Conflict):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if made.Load() != webhooks.MaxEndpoints || refused.Load() != 10 {
		t.Errorf("%d made, %d refused", made.Load(), refused.Load())
	}
	first, err := w.FindAll(ctx, page.Request{Limit: 1})
	must(t, err)
	must(t, w.Delete(ctx, first.Items[0].ID))
	w.create(ctx, t, webhooks.NewEndpoint{})
	w.create(w.tenant(t, "two"), t, webhooks.NewEndpoint{})
}

func TestARepeatedRequestMakesNothingNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	n := webhooks.NewEndpoint{ID: uuid.Must(uuid.NewV7())}
	e, secret := w.create(ctx, t, n)
	if again, same := w.create(ctx, t, n); again.ID != e.ID || same != secret || len(again.Secrets) != 1 {
		t.Errorf("the second time: %+v", again)
	}
	r := webhooks.Rotation{ID: uuid.Must(uuid.NewV7()), OverlapSeconds: ptr(0)}
	_, second, err := w.RotateSecret(ctx, e.ID, r)
	must(t, err)
	rotated, same, err := w.RotateSecret(ctx, e.ID, r)
	must(t, err)
	if second == secret || same != second || len(rotated.Secrets) != 1 {
		t.Errorf("rotated twice: %+v", rotated)
	}
	if _, gone := w.create(ctx, t, n); gone != "" {
		t.Error("a secret that signs no more is given out")
	}
	must(t, w.Delete(ctx, e.ID))
	if _, _, err := w.Create(ctx, webhooks.NewEndpoint{ID: n.ID, URL: "https://example.com/", Events: []event.Type{event.RunError}}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a deleted endpoint came back: %v", err)
	}
}

func TestSecretsOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	e, first := w.create(ctx, t, webhooks.NewEndpoint{})
	secrets := []string{first}
	for range webhooks.MaxSecrets - 1 {
		_, next, err := w.RotateSecret(ctx, e.ID, webhooks.Rotation{})
		must(t, err)
		secrets = slices.Insert(secrets, 0, next)
	}
	target, err := w.Target(ctx, e.ID)
	must(t, err)
	if !slices.Equal(target.Secrets, secrets) {
		t.Errorf("signing with %d secrets, the newest first? %v", len(target.Secrets), slices.Equal(target.Secrets, secrets))
	}
	now, err := w.Find(ctx, e.ID)
	must(t, err)
	if now.Secrets[0].ExpiresAt != nil || now.Secrets[1].ExpiresAt == nil {
		t.Errorf("the secrets are %+v", now.Secrets)
	}
	if left := time.Until(now.Secrets[1].ExpiresAt.Time); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the last one signs for another %s", left)
	}
	_, _, err = w.RotateSecret(ctx, e.ID, webhooks.Rotation{})
	wantCode(t, err, fault.Conflict)
	_, err = w.database.Conn(t).Exec(ctx, `update webhook_secrets set expires_at = now() - interval '1 second' where expires_at is not null`)
	must(t, err)
	if target, err = w.Target(ctx, e.ID); err != nil || !slices.Equal(target.Secrets, secrets[:1]) {
		t.Errorf("expired secrets sign (%v)", err)
	}
	_, last, err := w.RotateSecret(ctx, e.ID, webhooks.Rotation{OverlapSeconds: ptr(0)})
	must(t, err)
	if target, err = w.Target(ctx, e.ID); err != nil || !slices.Equal(target.Secrets, []string{last}) {
		t.Errorf("without overlap the old secret signs (%v)", err)
	}
}

func TestADeletedEndpointIsEmptied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.tenant(t, "one")
	e, _ := w.create(ctx, t, webhooks.NewEndpoint{URL: "https://example.com/hush", Headers: map[string]string{"X-A": "hush"}})
	must(t, w.Delete(ctx, e.ID))
	for name, act := range map[string]func() error{
		"find":    func() error { _, err := w.Find(ctx, e.ID); return err },
		"update":  func() error { _, err := w.Update(ctx, e.ID, webhooks.Update{}); return err },
		"delete":  func() error { return w.Delete(ctx, e.ID) },
		"enable":  func() error { _, err := w.Enable(ctx, e.ID); return err },
		"disable": func() error { _, err := w.Disable(ctx, e.ID); return err },
		"rotate":  func() error { _, _, err := w.RotateSecret(ctx, e.ID, webhooks.Rotation{}); return err },
		"test":    func() error { _, err := w.Test(ctx, e.ID); return err },
	} {
		if err := act(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	target, err := w.Target(ctx, e.ID)
	must(t, err)
	if target.Disabled == "" || target.URL != "" || len(target.Secrets) != 0 || len(target.Headers) != 0 {
		t.Errorf("to be sent: %+v", target)
	}
	// It is forgotten once nothing speaks of it any more.
	_, err = w.database.Conn(t).Exec(ctx, `update webhook_endpoints set deleted_at = now() - interval '32 days' where id = $1`, e.ID)
	must(t, err)
	w.create(ctx, t, webhooks.NewEndpoint{})
	if _, err := w.Target(ctx, e.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("it is remembered: %v", err)
	}
}
