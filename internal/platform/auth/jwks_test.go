package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/auth/authtest"
	"github.com/larirun/lari/internal/platform/fault"
)

const unreachable = "the issuer's keys cannot be fetched to check the token"

func TestJWKSAlgorithms(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			issuer := authtest.New(t, alg)
			v := newVerifier(t, auth.Config{JWKSURL: issuer.JWKSURL(), Issuer: issuer.URL()})
			claims := user(issuer.URL(), nil)
			p, err := v.Verify(t.Context(), issuer.Sign(claims))
			if err != nil || p.Tenants[tenantA] != auth.RoleOperator {
				t.Fatalf("%+v, %v", p, err)
			}
			if _, err := v.Verify(t.Context(), issuer.SignWith("", map[string]any{"kid": nil}, claims)); err != nil {
				t.Errorf("without a kid, one key: %v", err)
			}
		})
	}
}

func TestJWKSTokenWithoutKidAmongSeveralKeys(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	issuer.Rotate("RS256")
	issuer.Rotate("ES256")
	v := newVerifier(t, auth.Config{JWKSURL: issuer.JWKSURL()})
	bare := map[string]any{"kid": nil}
	_, err := v.Verify(t.Context(), issuer.SignWith("", bare, user("", nil)))
	wantFault(t, err, fault.Unauthenticated, "the token does not say which key signed it (kid)")
	if _, err := v.Verify(t.Context(), issuer.SignWith("key-2", bare, user("", nil))); err != nil {
		t.Errorf("the only RS256 key: %v", err)
	}
}

func TestJWKSDownAtStartRecovers(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	issuer.Down(true)
	var log bytes.Buffer
	v, err := auth.NewVerifier(auth.Config{
		HS256Secret: secret, JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Hour, RefreshFloor: time.Nanosecond,
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	token := issuer.Sign(user("", nil))
	awaitFetches(t, issuer, 3)
	_, err = v.Verify(t.Context(), token)
	wantFault(t, err, fault.Unavailable, unreachable)
	wantNoEcho(t, err, token)
	if _, err := v.Verify(t.Context(), authtest.SignHS256(t, secret, nil, user("", nil))); err != nil {
		t.Errorf("a token that needs no JWKS: %v", err)
	}
	issuer.Down(false)
	// The first may have waited for a fetch that was under way when the switch was thrown.
	if _, err := v.Verify(t.Context(), token); err != nil {
		wantFault(t, err, fault.Unavailable, unreachable)
	}
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("after the issuer came back: %v", err)
	}
	v.Close()
	if got := strings.Count(log.String(), "cannot be fetched"); got != 1 {
		t.Errorf("%d warnings, want 1:\n%s", got, log.String())
	}
	if !strings.Contains(log.String(), "can be fetched again") {
		t.Errorf("no word of the recovery:\n%s", log.String())
	}
}

// Nobody asks: the verifier itself finds out that the issuer is back.
func TestJWKSRetriesByItself(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	issuer.Down(true)
	back := make(signal, 1)
	v := newVerifier(t, auth.Config{
		JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Hour, RefreshFloor: time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(back, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	awaitFetches(t, issuer, 3)
	issuer.Down(false)
	select {
	case <-back:
	case <-t.Context().Done():
		t.Fatal("the verifier never found out")
	}
	before := issuer.Fetches()
	if _, err := v.Verify(t.Context(), issuer.Sign(user("", nil))); err != nil {
		t.Fatal(err)
	}
	if got := issuer.Fetches(); got != before {
		t.Errorf("the token asked for the keys: %d fetches, want %d", got, before)
	}
}

// signal is a log that announces the recovery.
type signal chan struct{}

func (s signal) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("can be fetched again")) {
		s <- struct{}{}
	}
	return len(line), nil
}

func TestJWKSRotation(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	v := newVerifier(t, auth.Config{JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Hour, RefreshFloor: time.Nanosecond})
	old := issuer.Kid()
	if _, err := v.Verify(t.Context(), issuer.Sign(user("", nil))); err != nil {
		t.Fatal(err)
	}
	issuer.Rotate("RS256")
	if _, err := v.Verify(t.Context(), issuer.Sign(user("", nil))); err != nil {
		t.Fatalf("the new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), issuer.SignWith(old, nil, user("", nil))); err != nil {
		t.Errorf("the old key, still published: %v", err)
	}
	if got := issuer.Fetches(); got != 2 {
		t.Errorf("%d fetches, want 2", got)
	}
}

func TestJWKSBackgroundRefreshDropsRetiredKeys(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	v := newVerifier(t, auth.Config{JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Millisecond})
	old := issuer.Kid()
	last := issuer.SignWith(old, nil, user("", nil))
	if _, err := v.Verify(t.Context(), issuer.Sign(user("", map[string]any{"aal": "aal2"}))); err != nil {
		t.Fatal(err)
	}
	issuer.Rotate("ES256")
	issuer.Retire(old)
	drain(issuer)
	awaitFetches(t, issuer, 3) // the first may have begun before; the second is stored when the third begins
	_, err := v.Verify(t.Context(), last)
	wantFault(t, err, fault.Unauthenticated, "the token's key is not one of the issuer's")
}

// Made-up kids must not become requests to the issuer.
func TestJWKSUnknownKidsAreRateLimited(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	v := newVerifier(t, auth.Config{JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Hour, RefreshFloor: time.Hour})
	var wg sync.WaitGroup
	for n := range 50 {
		token := issuer.SignWith("", map[string]any{"kid": strings.Repeat("x", n+1)}, user("", nil))
		wg.Go(func() {
			_, err := v.Verify(t.Context(), token)
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	if got := issuer.Fetches(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestJWKSKeysOutliveTheIssuer(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	v := newVerifier(t, auth.Config{JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Hour, RefreshFloor: time.Nanosecond})
	if _, err := v.Verify(t.Context(), issuer.Sign(user("", nil))); err != nil {
		t.Fatal(err)
	}
	issuer.Down(true)
	known := issuer.Kid()
	issuer.Rotate("ES256")
	_, err := v.Verify(t.Context(), issuer.Sign(user("", nil)))
	wantFault(t, err, fault.Unavailable, unreachable)
	if _, err := v.Verify(t.Context(), issuer.SignWith(known, nil, user("", map[string]any{"aal": "aal2"}))); err != nil {
		t.Errorf("a key fetched before: %v", err)
	}
}

func TestJWKSAnswersThatAreNoKeySet(t *testing.T) {
	t.Parallel()
	token := authtest.New(t, "ES256").Sign(user("", nil))
	for name, answer := range map[string]http.HandlerFunc{
		"404": http.NotFound,
		"500 with keys": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			write(t, w, `{"keys":[]}`)
		},
		"not JSON":  func(w http.ResponseWriter, _ *http.Request) { write(t, w, "<html>") },
		"no keys":   func(w http.ResponseWriter, _ *http.Request) { write(t, w, "{}") },
		"too large": func(w http.ResponseWriter, _ *http.Request) { write(t, w, `{"keys":[]}`+strings.Repeat(" ", 256<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(answer)
			t.Cleanup(server.Close)
			v := newVerifier(t, auth.Config{JWKSURL: server.URL})
			_, err := v.Verify(t.Context(), token)
			wantFault(t, err, fault.Unavailable, unreachable)
		})
	}
	t.Run("an empty set, as HS256 projects serve it", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(t, w, `{"keys":[]}`) }))
		t.Cleanup(server.Close)
		v := newVerifier(t, auth.Config{JWKSURL: server.URL})
		_, err := v.Verify(t.Context(), token)
		wantFault(t, err, fault.Unauthenticated, "the token's key is not one of the issuer's")
	})
}

// An issuer that never answers holds neither the start nor, beyond its own deadline, a request. Not
// parallel: it also proves that Close ends everything that was started.
func TestJWKSHangingIssuer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	asked, release := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	}))
	defer server.Close()
	defer close(release)
	v, err := auth.NewVerifier(auth.Config{JWKSURL: server.URL, RefreshFloor: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	token := segment(`{"alg":"ES256","kid":"k"}`) + ".e30.AAAA"
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = v.Verify(ctx, token)
	wantFault(t, err, fault.Cancelled, "")
	late, cancelLate := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelLate()
	_, err = v.Verify(late, token)
	wantFault(t, err, fault.Timeout, "")
	v.Close()
	v.Close()
	_, err = v.Verify(t.Context(), token)
	wantFault(t, err, fault.Unavailable, unreachable)
}

func TestVerifierIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	issuer := authtest.New(t, "ES256")
	v := newVerifier(t, auth.Config{HS256Secret: secret, JWKSURL: issuer.JWKSURL(), RefreshInterval: time.Millisecond, RefreshFloor: time.Nanosecond})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 20 {
				if n%5 == 0 {
					issuer.Rotate("ES256")
				}
				token := issuer.Sign(user("", nil))
				if _, err := v.Verify(t.Context(), token); err != nil && !fault.Is(err, fault.Unauthenticated) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func write(t *testing.T, w http.ResponseWriter, body string) {
	t.Helper()
	if _, err := w.Write([]byte(body)); err != nil {
		t.Logf("write: %v", err) // the client may hang up on an answer that is too large
	}
}

func awaitFetches(t *testing.T, issuer *authtest.Issuer, n int) {
	t.Helper()
	for range n {
		select {
		case <-issuer.Fetched():
		case <-t.Context().Done():
			t.Fatal("the keys were not fetched")
		}
	}
}

func drain(issuer *authtest.Issuer) {
	for {
		select {
		case <-issuer.Fetched():
		default:
			return
		}
	}
}
