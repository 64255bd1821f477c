package egress

import (
	"compress/gzip"
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

const mib = 1 << 20

// hostile serves every kind of bad answer; each handler ends when its client goes away.
func hostile(w http.ResponseWriter, r *http.Request) {
	flush := func() { _ = http.NewResponseController(w).Flush() }
	switch r.URL.Path {
	case "/hangs":
		<-r.Context().Done()
	case "/drips":
		tick := time.NewTicker(5 * time.Millisecond)
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
	case "/bomb":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		chunk := make([]byte, mib)
		for range 100 {
			if _, err := z.Write(chunk); err != nil {
				return
			}
		}
		_ = z.Close()
	case "/short":
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("half"))
		flush()
		panic(http.ErrAbortHandler)
	case "/closes":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	case "/noise":
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = rw.WriteString("SSH-2.0-OpenSSH_9.2\r\n")
			_ = rw.Flush()
			_ = conn.Close()
		}
	case "/headers":
		for i := range 2000 {
			w.Header().Set("X-Header-"+strconv.Itoa(i), strings.Repeat("h", 100))
		}
	}
}

func TestHostileServers(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, "127.0.0.1", hostile)
	tests := map[string]struct {
		path string
		want fault.Code
		cut  bool
		size int // of what was read; -1: any
	}{
		"never answers":        {"/hangs", fault.Timeout, false, 0},
		"drips":                {"/drips", fault.Timeout, false, -1},
		"100 MB":               {"/huge", "", true, 64 << 10},
		"decompresses to 100":  {"/bomb", "", true, 64 << 10},
		"breaks off":           {"/short", fault.Unavailable, false, 4},
		"closes at once":       {"/closes", fault.Unavailable, false, 0},
		"speaks another":       {"/noise", fault.Unavailable, false, 0},
		"too many header bits": {"/headers", fault.Unavailable, false, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := 10 * time.Second
			if tt.want == fault.Timeout {
				timeout = 100 * time.Millisecond
			}
			c := newClient(t, Config{
				AllowHTTP: true, Allow: []netip.Prefix{loopback}, Timeout: timeout, MaxResponseBytes: 64 << 10,
			})
			resp, err := get(t, c, srv.URL+tt.path)
			var body []byte
			var cut bool
			if err == nil {
				body, cut, err = c.ReadBody(resp)
			}
			if fault.CodeOf(err) != tt.want || cut != tt.cut || tt.size >= 0 && len(body) != tt.size {
				t.Errorf("code %q (%v), cut %v, %d bytes", fault.CodeOf(err), err, cut, len(body))
			}
		})
	}
}

func TestRefusedConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, "127.0.0.1", hostile)
	url := srv.URL
	srv.Close()
	_, err := get(t, newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{loopback}}), url)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("error %v", err)
	}
}

func TestCancelledRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv, _ := serve(t, "127.0.0.1", func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{loopback}})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !fault.Is(err, fault.Cancelled) {
		t.Errorf("error %v", err)
	}
}

func TestReadBoundedAtTheLimit(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{0: false, 9: false, 10: false, 11: true} {
		data, cut, err := ReadBounded(strings.NewReader(strings.Repeat("x", n)), 10)
		if err != nil || cut != want || len(data) != min(n, 10) {
			t.Errorf("%d bytes: %d read, cut %v, %v", n, len(data), cut, err)
		}
	}
}
