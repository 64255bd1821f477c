package egress

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	private, privateSeen := serve(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) {})
	srv, _ := serve(t, "127.0.0.2", func(w http.ResponseWriter, r *http.Request) {
		switch to := r.URL.Query().Get("to"); {
		case to != "":
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		case strings.HasPrefix(r.URL.Path, "/hops/"):
			var n int
			if _, err := fmt.Sscanf(r.URL.Path, "/hops/%d", &n); err != nil || n == 0 {
				w.Header().Set("X-Referred-By", r.Referer())
				return
			}
			http.Redirect(w, r, fmt.Sprintf("/hops/%d", n-1), http.StatusTemporaryRedirect)
		}
	})
	tests := map[string]struct {
		path string
		max  int
		want fault.Code
		last int // status of the answer when there is no error
	}{
		"not followed by default": {"/?to=http://169.254.169.254/", 0, "", http.StatusFound},
		"metadata":                {"/?to=http://169.254.169.254/latest/meta-data/", 5, fault.Forbidden, 0},
		"private":                 {"/?to=" + private.URL, 5, fault.Forbidden, 0},
		"decimal":                 {"/?to=http://2130706433/", 5, fault.Forbidden, 0},
		"another scheme":          {"/?to=file:///etc/passwd", 5, fault.Invalid, 0},
		"with a password":         {"/?to=http://a:b@127.0.0.2/", 5, fault.Invalid, 0},
		"as many as allowed":      {"/hops/5", 5, "", http.StatusOK},
		"one too many":            {"/hops/6", 5, fault.Forbidden, 0},
		"a loop":                  {"/?to=/?to=/", 5, "", http.StatusOK},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{public}, MaxRedirects: tt.max})
			resp, err := get(t, c, srv.URL+tt.path)
			if got := fault.CodeOf(err); got != tt.want {
				t.Fatalf("code %q (%v), want %q", got, err, tt.want)
			}
			if err != nil {
				return
			}
			if resp.StatusCode != tt.last {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.last)
			}
			if by := resp.Header.Get("X-Referred-By"); by != "" {
				t.Errorf("the last host was told of %s", by)
			}
		})
	}
	t.Cleanup(func() {
		if n := privateSeen.Load(); n != 0 {
			t.Errorf("%d connections to the private server", n)
		}
	})
}

func TestHTTPIsRefusedAfterARedirectFromHTTPS(t *testing.T) {
	t.Parallel()
	plain, seen := serve(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) {})
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(secure.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())

	c := newClient(t, Config{Allow: []netip.Prefix{loopback}, RootCAs: roots, MaxRedirects: 5})
	if _, err := get(t, c, secure.URL); !fault.Is(err, fault.Forbidden) || seen.Load() != 0 {
		t.Errorf("error %v, %d connections without encryption", err, seen.Load())
	}
	stranger := newClient(t, Config{Allow: []netip.Prefix{loopback}})
	if _, err := get(t, stranger, secure.URL); !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate gives %v", err)
	}
}

func TestNoCookies(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "" {
			w.WriteHeader(http.StatusConflict)
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/"}) //nolint:gosec // a test's cookie
	})
	c := newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{loopback}})
	for range 2 {
		if resp, err := get(t, c, srv.URL); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
	}
}

// TestNoProxy is not parallel: it changes the environment.
func TestNoProxy(t *testing.T) {
	proxy, seen := serve(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) {})
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	resolver := newDNS(t, map[string][]netip.Addr{"far.test.": {netip.MustParseAddr("127.0.0.1")}})
	_, err := get(t, newClient(t, Config{AllowHTTP: true, Resolver: resolver}), "http://far.test/")
	wantForbidden(t, err)
	if seen.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, "127.0.0.2", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	c := newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{public}})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			url, want := srv.URL, fault.Code("")
			if i%2 == 1 {
				url, want = "http://127.0.0.1:1/", fault.Forbidden
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := c.Do(req)
			if fault.CodeOf(err) != want {
				t.Errorf("%s: %v", url, err)
			}
			if err == nil {
				_, _, _ = c.ReadBody(resp)
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
}
