package tools

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/egress"
	"github.com/larirun/lari/internal/platform/fault"
)

// site serves the answers of one test on loopback.
func site(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv.URL
}

// getter gives the tool http_get; by default it may reach loopback.
func getter(t *testing.T, change func(*egress.Config)) Tool {
	t.Helper()
	cfg := egress.Config{
		AllowHTTP: true, MaxRedirects: HTTPGetRedirects, Timeout: 10 * time.Second,
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}
	if change != nil {
		change(&cfg)
	}
	client := egress.New(cfg)
	t.Cleanup(client.Close)
	return registered(t, Limits{}, NewHTTPGet(client))
}

func TestHTTPGetReads(t *testing.T) {
	t.Parallel()
	const latin = "text/plain; charset=iso-8859-1"
	for name, tt := range map[string]struct {
		kind, body string
		status     int
		want       string // after the line with the URL
	}{
		"html":              {"text/html; charset=utf-8", "<title>Hi</title><h1>Hello</h1><script>x</script>World", 200, "content-type: text/html; charset=utf-8\ntitle: Hi\n\nHello\nWorld"},
		"json":              {"application/json", `{"a":"<b>"}`, 200, "content-type: application/json\n\n{\"a\":\"<b>\"}"},
		"problem":           {"application/problem+json", `{}`, 404, "content-type: application/problem+json\n\n{}"},
		"server error":      {"text/plain", "oops", 500, "content-type: text/plain\n\noops"},
		"feed":              {"application/atom+xml", "<feed/>", 200, "content-type: application/atom+xml\n\n<feed/>"},
		"upper case":        {"TEXT/PLAIN", "x", 200, "content-type: TEXT/PLAIN\n\nx"},
		"parameter twice":   {"text/plain; charset=utf-8; charset=utf-8", "x", 200, "content-type: text/plain; charset=utf-8; charset=utf-8\n\nx"},
		"latin 1":           {latin, "caf\xe9", 200, "content-type: " + latin + "\n\ncafé"},
		"latin 1 in meta":   {"text/html", "<meta charset=iso-8859-1><p>caf\xe9", 200, "content-type: text/html\n\ncafé"},
		"late UTF-8":        {"text/plain", strings.Repeat("a", 5000) + "é", 200, "content-type: text/plain\n\n" + strings.Repeat("a", 5000) + "é"},
		"UTF-16 by mark":    {"text/plain", "\xff\xfeh\x00i\x00", 200, "content-type: text/plain\n\nhi"},
		"wrongly UTF-8":     {"text/plain; charset=utf-8", "a\xffb", 200, "content-type: text/plain; charset=utf-8\n\na\uFFFDb"},
		"NUL":               {"text/plain", "a\x00b", 200, "content-type: text/plain\n\na\uFFFDb"},
		"empty":             {"text/plain", "", 200, "content-type: text/plain\n\n"},
		"no type, but text": {"", "hello there", 200, "content-type: text/plain; charset=utf-8\n\nhello there"},
		"title over lines":  {"text/html", "<title>a\nstatus: 200\n\nb</title>", 200, "content-type: text/html\ntitle: a status: 200 b\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := site(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || !strings.HasPrefix(r.UserAgent(), "Lari/") {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				w.Header()["Content-Type"] = []string{tt.kind}
				if tt.kind == "" {
					w.Header()["Content-Type"] = nil // also keeps the server from guessing
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}) + "/page?q=1"
			got, err := call(t, getter(t, nil), map[string]string{"url": url})
			want := "status: " + strconv.Itoa(tt.status) + "\nurl: " + url + "\n" + tt.want
			if err != nil || got != want {
				t.Errorf("got %q, %v\nwant %q", got, err, want)
			}
		})
	}
}

func TestHTTPGetRefusesWhatIsNotText(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"image/png", "image/svg+xml", "application/pdf", "application/octet-stream", "video/mp4", "nonsense", ""} {
		url := site(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			if kind == "" {
				w.Header()["Content-Type"] = nil
			}
			_, _ = w.Write([]byte("\x89PNG\x0D\x0A\x1A\x0A"))
		})
		if got, err := call(t, getter(t, nil), map[string]string{"url": url}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q gives %q, %v", kind, got, err)
		}
	}
}

func TestHTTPGetFollowsRedirects(t *testing.T) {
	t.Parallel()
	url := site(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(strings.Trim(r.URL.Path, "/"))
		switch {
		case err != nil:
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
		case n > 0:
			http.Redirect(w, r, "/"+strconv.Itoa(n-1), http.StatusFound)
		default:
			_, _ = w.Write([]byte("arrived"))
		}
	})
	tool := getter(t, nil)
	got, err := call(t, tool, map[string]string{"url": url + "/5"})
	if err != nil || !strings.Contains(got, "url: "+url+"/0\n") || !strings.HasSuffix(got, "arrived") {
		t.Errorf("%q, %v", got, err)
	}
	for path, part := range map[string]string{"/6": "more than 5 redirects", "/metadata": "private network that is not allowed"} {
		if got, err := call(t, tool, map[string]string{"url": url + path}); !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

func TestHTTPGetIsGuarded(t *testing.T) {
	t.Parallel()
	url := site(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) })
	tool := getter(t, func(c *egress.Config) { c.Allow = nil })
	for target, code := range map[string]fault.Code{
		url: fault.Forbidden, "http://localhost:1/": fault.Forbidden, "http://2130706433/": fault.Forbidden,
		"http://[::1]/": fault.Forbidden, "http://169.254.169.254/": fault.Forbidden,
		"file:///etc/passwd": fault.Invalid, "ftp://example.com/": fault.Invalid, "http://a:b@example.com/": fault.Invalid,
		"": fault.Invalid, "nonsense": fault.Invalid, "http://": fault.Invalid,
		"http://example.com/" + strings.Repeat("a", 2048): fault.Invalid,
	} {
		if got, err := call(t, tool, map[string]string{"url": target}); !fault.Is(err, code) {
			t.Errorf("%s gives %q, %v; want %s", target, got, err, code)
		}
	}
}

func TestHTTPGetSurvivesHostileServers(t *testing.T) {
	t.Parallel()
	url := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		flush := func() { _ = http.NewResponseController(w).Flush() }
		switch r.URL.Path {
		case "/hangs":
			<-r.Context().Done()
		case "/drips":
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("<p>"))
				flush()
			}
		case "/stalls":
			_, _ = w.Write([]byte("half of"))
			flush()
			<-r.Context().Done()
		case "/huge":
			chunk := []byte("é" + strings.Repeat("語", 100_000))
			for range 350 { // about 100 MB
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "/short":
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("half of"))
			flush()
			panic(http.ErrAbortHandler)
		}
	})
	impatient := getter(t, func(c *egress.Config) { c.Timeout = 100 * time.Millisecond })
	for _, path := range []string{"/hangs", "/stalls"} {
		if got, err := call(t, impatient, map[string]string{"url": url + path}); !fault.Is(err, fault.Timeout) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	tool := getter(t, nil)
	if got, err := call(t, tool, map[string]string{"url": url + "/short"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("/short: %q, %v", got, err)
	}
	got, err := call(t, tool, map[string]string{"url": url + "/huge"})
	if err != nil || len(got) > 64<<10 || !strings.Contains(got, "only the first 256 KiB") || strings.Contains(got, "\uFFFD") {
		t.Errorf("/huge: %d bytes, %v", len(got), err)
	}
	if _, err := call(t, tool, map[string]string{"url": url + "/drips"}); err != nil && !fault.Is(err, fault.Timeout) {
		t.Errorf("/drips: %v", err)
	}
}

func TestDecodeDropsACutCharacter(t *testing.T) {
	t.Parallel()
	for whole, want := range map[string]string{"aé": "a", "a語": "a", "a🙂": "a", "ab": "a"} {
		for cut := 2; cut < len(whole); cut++ {
			if got := decode([]byte(whole[:cut]), true, "text/plain"); got != want {
				t.Errorf("%q cut after %d bytes gives %q", whole, cut, got)
			}
		}
	}
	if got := decode([]byte("aé"), true, "text/plain"); got != "aé" {
		t.Errorf("a whole character is dropped: %q", got)
	}
}
