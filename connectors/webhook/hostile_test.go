package webhook_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/connectors/webhook"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/egress"
	"github.com/larirun/lari/tests/pace"
)

const mib = 1 << 20

// hostile answers in every bad way; each handler ends when its client goes away.
func hostile(w http.ResponseWriter, r *http.Request) {
	flush := func() { _ = http.NewResponseController(w).Flush() }
	hijack := func(say string) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = rw.WriteString(say)
			_ = rw.Flush()
			_ = conn.Close()
		}
	}
	switch r.URL.Path {
	case "/hangs":
		<-r.Context().Done()
	case "/drips":
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			_, _ = w.Write([]byte("."))
			flush()
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	case "/huge":
		chunk := []byte(strings.Repeat("x", mib))
		w.Header().Set("Content-Length", strconv.Itoa(100*mib))
		for range 100 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	case "/short":
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("half"))
		flush()
		panic(http.ErrAbortHandler)
	case "/closes":
		hijack("")
	case "/noise":
		hijack("SSH-2.0-OpenSSH_9.2\r\n")
	}
}

func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	for path, tt := range map[string]struct {
		taken bool // its head says 2xx, whatever its body does
		least time.Duration
		most  time.Duration
		kept  int // bytes of the answer; -1: any
	}{
		"/hangs":  {false, webhook.AttemptLimit - time.Second, webhook.AttemptLimit + 3*time.Second, 0},
		"/drips":  {true, time.Second, 8 * time.Second, -1},
		"/huge":   {true, 0, 8 * time.Second, 1024},
		"/short":  {true, 0, 8 * time.Second, 4},
		"/closes": {false, 0, 8 * time.Second, 0},
		"/noise":  {false, 0, 8 * time.Second, 0},
	} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			d := &directory{}
			r := newReceiver(t, hostile)
			to := d.add(webhook.Endpoint{URL: r.URL + path + "?token=hush", Secrets: []string{newSecret}, Headers: map[string]string{"Authorization": "hush"}})
			began, watch := time.Now(), pace.Start(t)
			report, err := tell(t, connector(t, d, webhook.Limits{}), an(event.RunError, to.ID))
			took := time.Since(began)
			if (err == nil) != tt.taken || errors.Is(err, connectors.ErrRefused) {
				t.Errorf("%v", err)
			}
			if took < tt.least || watch.Took() > tt.most {
				t.Errorf("it took %s", took)
			}
			if len(report.Response) > 1024 || tt.kept >= 0 && len(report.Response) != tt.kept {
				t.Errorf("%d bytes are kept", len(report.Response))
			}
			if err != nil && (strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "127.0.0.1")) {
				t.Errorf("the error tells too much: %v", err)
			}
			if want := map[bool]string{true: "succeeded", false: "failed"}[tt.taken]; len(d.told) != 1 || d.told[0] != want {
				t.Errorf("noted %v", d.told)
			}
		})
	}
}

// A client that guards nothing tells no more in its errors than one that does.
func TestErrorsOfATrustedClientHoldNoURL(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	url := r.URL + "/?token=hush"
	r.Close()
	c, err := webhook.New(webhook.Options{
		Name: "alerts", Target: func(connectors.Event) string { return url }, Client: http.DefaultClient, Gates: webhook.NewGates(webhook.Limits{}), Operators: true,
	})
	must(t, err)
	if _, err := tell(t, c, an(event.RunError, [16]byte{})); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("%v", err)
	}
}

func TestAPrivateAddressIsNotReached(t *testing.T) {
	t.Parallel()
	r, d := newReceiver(t, nil), &directory{}
	strict := egress.New(egress.Config{AllowHTTP: true})
	t.Cleanup(strict.Close)
	c := webhook.NewEndpoints("endpoints", d, strict, webhook.NewGates(webhook.Limits{}))
	for _, url := range []string{r.URL, strings.Replace(r.URL, "127.0.0.1", "localhost", 1), strings.Replace(r.URL, "127.0.0.1", "2130706433", 1)} {
		to := d.add(webhook.Endpoint{URL: url, Secrets: []string{newSecret}})
		_, err := tell(t, c, an(event.RunError, to.ID))
		if err == nil || !strings.Contains(err.Error(), "the receiver cannot be reached: ") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if n := len(r.requests()); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestOneReceiverForAll(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("thanks")) })
	make := func(operators bool, target, secret string) *webhook.Connector {
		c, err := webhook.New(webhook.Options{
			Name: "one", Target: func(connectors.Event) string { return target }, Client: client(t), Gates: webhook.NewGates(webhook.Limits{}),
			Secret: secret, Operators: operators,
		})
		must(t, err)
		return c
	}
	for _, typ := range event.Types() {
		if want := typ == event.RunCompleted || typ == event.RunError; make(false, r.URL, "").Wants(an(typ, [16]byte{})) != want {
			t.Errorf("wants %s: %v", typ, !want)
		}
	}
	if make(false, "", "").Wants(an(event.RunError, [16]byte{})) {
		t.Error("wants events without a receiver")
	}
	report, err := tell(t, make(false, r.URL, ""), an(event.RunCompleted, [16]byte{}))
	if err != nil || report.Response != "thanks" || r.requests()[0].header.Get("webhook-signature") != "" {
		t.Errorf("%+v, %v", report, err)
	}
	report, err = tell(t, make(true, r.URL, newSecret), an(event.RunCompleted, [16]byte{}))
	if err != nil || report.StatusCode != 200 || report.Response != "" || r.requests()[1].header.Get("webhook-signature") == "" {
		t.Errorf("what the operator's receiver says is kept: %+v, %v", report, err)
	}
	bad := webhook.Options{Name: "one", Secret: "whsec_" + "hush!"}
	if _, err := webhook.New(bad); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a bad secret: %v", err)
	}
}
