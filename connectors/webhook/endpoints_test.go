package webhook_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/scope"
)

func TestEveryHookIsPostedAndSigned(t *testing.T) {
	t.Parallel()
	r, d := newReceiver(t, nil), &directory{}
	c := connector(t, d, webhook.Limits{})
	to := d.add(webhook.Endpoint{
		URL: r.URL, Secrets: []string{newSecret, oldSecret},
		Headers: map[string]string{"Authorization": "Bearer x", "content-type": "text/plain", "Webhook-Signature": "v1,forged", "webhook-id": "forged"},
	})
	types := []event.Type{event.RunStarted, event.RunProgress, event.RunCompleted, event.RunError, event.RunCancelled}
	for _, typ := range types {
		e := an(typ, to.ID)
		report, err := tell(t, c, e)
		must(t, err)
		if report.StatusCode != 200 {
			t.Errorf("the report is %+v", report)
		}
		got := r.requests()[len(r.requests())-1]
		for name, secret := range map[string]string{"new": newSecret, "old": oldSecret} {
			verifier, err := standardwebhooks.NewWebhook(secret)
			must(t, err)
			if err := verifier.Verify(got.body, got.header); err != nil {
				t.Errorf("%s: the %s secret: %v", typ, name, err)
			}
			if err := verifier.Verify(append(slices.Clone(got.body), ' '), got.header); err == nil {
				t.Errorf("%s: the %s secret signs another body", typ, name)
			}
		}
		if n := len(strings.Fields(got.header.Get("webhook-signature"))); n != 2 {
			t.Errorf("%d signatures: %s", n, got.header.Get("webhook-signature"))
		}
		var m webhook.Message
		must(t, json.Unmarshal(got.body, &m))
		if m.Type != typ || m.Data.RunID != e.RunID || m.Data.Seq != 7 || !strings.Contains(string(got.body), "9007199254740993") ||
			got.header.Get("webhook-id") != e.IdempotencyKey("endpoints") {
			t.Errorf("got %s", got.body)
		}
		if got.header.Get("Authorization") != "Bearer x" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("the headers are %v", got.header)
		}
	}
	if want := slices.Repeat([]string{"succeeded"}, 5); !slices.Equal(d.told, want) {
		t.Errorf("noted %v", d.told)
	}
	if c.Wants(an(event.RunError, to.ID)) {
		t.Error("the connector wants events by itself")
	}
}

func TestOnlyAllowedFieldsAreSent(t *testing.T) {
	t.Parallel()
	r, d := newReceiver(t, nil), &directory{}
	c := connector(t, d, webhook.Limits{})
	for name, tt := range map[string]struct {
		fields []string
		want   []string
	}{
		"all":             {nil, []string{"code", "message", "usage"}},
		"two and unknown": {[]string{"usage", "code", "nothing"}, []string{"code", "usage"}},
		"none":            {[]string{}, nil},
	} {
		to := d.add(webhook.Endpoint{URL: r.URL, Secrets: []string{newSecret}, Fields: tt.fields})
		_, err := tell(t, c, an(event.RunError, to.ID))
		must(t, err)
		body := r.requests()[len(r.requests())-1].body
		var m webhook.Message
		must(t, json.Unmarshal(body, &m))
		var sent map[string]json.RawMessage
		must(t, json.Unmarshal(m.Data.Event, &sent))
		if got := slices.Sorted(maps.Keys(sent)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: sent %v", name, got)
		}
		if usage, ok := sent["usage"]; ok && string(usage) != `{"input_tokens":9007199254740993}` {
			t.Errorf("%s: a value changed: %s", name, usage)
		}
	}
}

func TestWhatIsNotSent(t *testing.T) {
	t.Parallel()
	r, d := newReceiver(t, nil), &directory{}
	c := connector(t, d, webhook.Limits{})
	disabled := d.add(webhook.Endpoint{URL: r.URL, Secrets: []string{newSecret}, Disabled: "it was tired"})
	for name, id := range map[string]string{"absent": uuid.NewString(), "no id": "x", "disabled": disabled.ID.String()} {
		e := an(event.RunError, uuid.Nil)
		e.Target = id
		report, err := tell(t, c, e)
		if !errors.Is(err, connectors.ErrRefused) || report.StatusCode != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	unsigned := d.add(webhook.Endpoint{URL: r.URL})
	if _, err := tell(t, c, an(event.RunError, unsigned.ID)); err == nil || errors.Is(err, connectors.ErrRefused) {
		t.Errorf("without a secret: %v", err)
	}
	broken := d.add(webhook.Endpoint{URL: r.URL, Secrets: []string{"whsec_hush!"}})
	if _, err := tell(t, c, an(event.RunError, broken.ID)); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("with a broken secret: %v", err)
	}
	d.away = true
	var postponed *connectors.Postponed
	if _, err := tell(t, c, an(event.RunError, disabled.ID)); !errors.As(err, &postponed) || postponed.After <= 0 {
		t.Errorf("without a directory: %v", err)
	}
	if n := len(r.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestWhatAnswersMean(t *testing.T) {
	t.Parallel()
	const private = "http://169.254.169.254/latest/meta-data/"
	for name, tt := range map[string]struct {
		status  int
		refused bool
		told    string
		says    string
	}{
		"200": {200, false, "succeeded", ""},
		"204": {204, false, "succeeded", ""},
		"302": {302, false, "failed", "redirects are not followed"},
		"308": {308, false, "failed", "redirects are not followed"},
		"400": {400, false, "failed", "answered 400"},
		"404": {404, false, "failed", "answered 404"},
		"410": {410, true, "gone", "answered 410"},
		"429": {429, false, "failed", "answered 429"},
		"500": {500, false, "failed", "answered 500"},
		"503": {503, false, "failed", "answered 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &directory{}
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", private)
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte("so\x00 be it \xff"))
			})
			to := d.add(webhook.Endpoint{URL: r.URL, Secrets: []string{newSecret}})
			report, err := tell(t, connector(t, d, webhook.Limits{}), an(event.RunError, to.ID))
			if (err != nil) != (tt.told != "succeeded") || errors.Is(err, connectors.ErrRefused) != tt.refused || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
			if report.StatusCode != tt.status || tt.status != 204 && report.Response != "so\uFFFD be it \uFFFD" || !slices.Equal(d.told, []string{tt.told}) || len(r.requests()) != 1 {
				t.Errorf("%+v, %v, %d requests", report, d.told, len(r.requests()))
			}
		})
	}
}

func TestATest(t *testing.T) {
	t.Parallel()
	r, d := newReceiver(t, nil), &directory{}
	c := connector(t, d, webhook.Limits{})
	to := d.add(webhook.Endpoint{URL: r.URL, Secrets: []string{newSecret}, Disabled: "for now"})
	tenant := uuid.New()
	report, err := c.Test(scope.With(t.Context(), scope.Scope{Tenant: tenant}), to)
	must(t, err)
	got := r.requests()[0]
	verifier, err := standardwebhooks.NewWebhook(newSecret)
	must(t, err)
	must(t, verifier.Verify(got.body, got.header))
	var m webhook.TestMessage
	must(t, json.Unmarshal(got.body, &m))
	if m.Type != webhook.TestType || m.Data.WebhookID != to.ID || m.Data.TenantID != tenant || report.StatusCode != 200 || len(d.told) != 0 {
		t.Errorf("got %s, noted %v", got.body, d.told)
	}
}
