package egress

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	any := Config{AllowHTTP: true}
	tests := map[string]struct {
		raw  string
		cfg  Config
		want fault.Code // "" for a URL that passes
	}{
		"https":                    {"https://example.com/a?b=c#d", Config{}, ""},
		"port":                     {"https://example.com:8443/", Config{}, ""},
		"http allowed":             {"http://example.com", any, ""},
		"underscore in name":       {"https://my_host.example.com/", Config{}, ""},
		"digits in name":           {"https://1password.com/", Config{}, ""},
		"number in the middle":     {"https://4.example/", Config{}, ""},
		"unicode name":             {"https://bücher.example/", Config{}, ""},
		"public IPv4":              {"https://1.1.1.1/", Config{}, ""},
		"public IPv6":              {"https://[2606:4700:4700::1111]/", Config{}, ""},
		"allowed private":          {"http://127.0.0.2/", Config{AllowHTTP: true, Allow: prefixes("127.0.0.0/8")}, ""},
		"allowed mapped prefix":    {"http://127.0.0.2/", Config{AllowHTTP: true, Allow: prefixes("::ffff:127.0.0.0/104")}, ""},
		"allowed private IPv6":     {"http://[fd00::1]/", Config{AllowHTTP: true, Allow: prefixes("fd00::/8")}, ""},
		"http not allowed":         {"http://example.com", Config{}, fault.Forbidden},
		"file":                     {"file:///etc/passwd", any, fault.Invalid},
		"gopher":                   {"gopher://example.com/", any, fault.Invalid},
		"upper-case scheme":        {"HTTPS://example.com/", Config{}, ""},
		"no scheme":                {"example.com", any, fault.Invalid},
		"scheme-relative":          {"//example.com/", any, fault.Invalid},
		"opaque":                   {"https:example.com", any, fault.Invalid},
		"no host":                  {"https:///path", any, fault.Invalid},
		"only a port":              {"https://:443/", any, fault.Invalid},
		"empty":                    {"", any, fault.Invalid},
		"user":                     {"https://user@example.com/", any, fault.Invalid},
		"user and password":        {"https://a:b@example.com/", any, fault.Invalid},
		"disguised host":           {"https://example.com@127.0.0.1/", any, fault.Invalid},
		"NUL":                      {"https://example.com/\x00", any, fault.Invalid},
		"newline":                  {"https://example.com/\r\nHost: x", any, fault.Invalid},
		"space in host":            {"https://exa mple.com/", any, fault.Invalid},
		"bad escape":               {"https://example.com/%zz", any, fault.Invalid},
		"invalid UTF-8 host":       {"https://\xff.example/", any, fault.Invalid},
		"too long":                 {"https://example.com/" + strings.Repeat("a", MaxURLLength), any, fault.Invalid},
		"port zero":                {"https://example.com:0/", any, fault.Invalid},
		"port too high":            {"https://example.com:65536/", any, fault.Invalid},
		"port not listed":          {"https://example.com:8443/", Config{Ports: []uint16{443}}, fault.Forbidden},
		"default port not listed":  {"https://example.com/", Config{Ports: []uint16{8443}}, fault.Forbidden},
		"port listed":              {"https://example.com:8443/", Config{Ports: []uint16{8443}}, ""},
		"loopback":                 {"http://127.0.0.1/", any, fault.Forbidden},
		"loopback with dot":        {"http://127.0.0.1./", any, fault.Forbidden},
		"decimal":                  {"http://2130706433/", any, fault.Forbidden},
		"octal":                    {"http://0177.0.0.1/", any, fault.Forbidden},
		"hex":                      {"http://0x7f000001/", any, fault.Forbidden},
		"hex part":                 {"http://127.0.0.0x1/", any, fault.Forbidden},
		"short form":               {"http://127.1/", any, fault.Forbidden},
		"zero":                     {"http://0/", any, fault.Forbidden},
		"circled digits":           {"http://①②⑦.⓪.⓪.①/", any, fault.Forbidden},
		"ideographic full stops":   {"http://127。0。0。1/", any, fault.Forbidden},
		"unspecified":              {"http://0.0.0.0/", any, fault.Forbidden},
		"unspecified IPv6":         {"http://[::]/", any, fault.Forbidden},
		"loopback IPv6":            {"http://[::1]/", any, fault.Forbidden},
		"mapped":                   {"http://[::ffff:127.0.0.1]/", any, fault.Forbidden},
		"mapped hex":               {"http://[::ffff:7f00:1]/", any, fault.Forbidden},
		"compatible":               {"http://[::127.0.0.1]/", any, fault.Forbidden},
		"link-local":               {"http://[fe80::1]/", any, fault.Forbidden},
		"link-local with zone":     {"http://[fe80::1%25lo]/", any, fault.Forbidden},
		"public with zone":         {"http://[2606:4700:4700::1111%25lo]/", any, fault.Forbidden},
		"unique local":             {"http://[fd00:ec2::254]/", any, fault.Forbidden},
		"metadata":                 {"http://169.254.169.254/latest/meta-data/", any, fault.Forbidden},
		"metadata of Azure":        {"http://168.63.129.16/", any, fault.Forbidden},
		"carrier-grade NAT":        {"http://100.64.0.1/", any, fault.Forbidden},
		"private 10":               {"http://10.1.2.3/", any, fault.Forbidden},
		"private 172":              {"http://172.31.255.255/", any, fault.Forbidden},
		"private 192":              {"http://192.168.0.1/", any, fault.Forbidden},
		"multicast":                {"http://224.0.0.1/", any, fault.Forbidden},
		"multicast IPv6":           {"http://[ff02::1]/", any, fault.Forbidden},
		"broadcast":                {"http://255.255.255.255/", any, fault.Forbidden},
		"NAT64":                    {"http://[64:ff9b::7f00:1]/", any, fault.Forbidden},
		"local NAT64":              {"http://[64:ff9b:1::7f00:1]/", any, fault.Forbidden},
		"6to4":                     {"http://[2002:7f00:1::]/", any, fault.Forbidden},
		"Teredo":                   {"http://[2001:0:7f00:1::]/", any, fault.Forbidden},
		"other private than given": {"http://10.0.0.1/", Config{AllowHTTP: true, Allow: prefixes("127.0.0.0/8")}, fault.Forbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := ParseURL(tt.raw, tt.cfg)
			if got := fault.CodeOf(err); got != tt.want {
				t.Fatalf("ParseURL(%q) gives code %q (%v), want %q", tt.raw, got, err, tt.want)
			}
			if err == nil && u.Hostname() == "" {
				t.Error("a URL without a host passed")
			}
		})
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"https://example.com/", "http://[::ffff:1.2.3.4]:80/", "http://0x7f.1/", "https://①.②"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseURL(raw, Config{AllowHTTP: true})
		if err != nil {
			if code := fault.CodeOf(err); code != fault.Invalid && code != fault.Forbidden {
				t.Errorf("code %q", code)
			}
			return
		}
		if u.User != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q passed", raw)
		}
	})
}

// Whatever a tenant writes, the receiver is asked for what a browser would ask it for.
func TestClient_SendsCanonicalURLs(t *testing.T) {
	t.Parallel()
	asked := make(chan [2]string, 1)
	srv, _ := serve(t, "127.0.0.2", func(w http.ResponseWriter, r *http.Request) {
		if to := r.Header.Get("X-Redirect"); to != "" && r.URL.Path == "/from" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		asked <- [2]string{r.Host, r.RequestURI}
	})
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	c := newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{public}, MaxRedirects: 1, Resolver: newDNS(t, map[string][]netip.Addr{
		"xn--bcher-kva.test.": {public.Addr()}, "plain.test.": {public.Addr()},
	})})
	for raw, want := range map[string][2]string{
		"http://bücher.test:PORT/":                     {"xn--bcher-kva.test", "/"},
		"http://BÜCHER.test:PORT/":                     {"xn--bcher-kva.test", "/"},
		"http://plain.test:PORT/?q=grün&x=%C3%BC":      {"plain.test", "/?q=gr%C3%BCn&x=%C3%BC"},
		"http://plain.test:PORT/grün":                  {"plain.test", "/gr%C3%BCn"},
		"http://plain.test:PORT/a%2Fb/grün":            {"plain.test", "/a%2Fb/gr%C3%BCn"},
		"http://plain.test:PORT/a%2Fb/{id}":            {"plain.test", "/a%2Fb/%7Bid%7D"},
		"http://plain.test:PORT/?a=\"<>\\^`{|}\"":      {"plain.test", "/?a=%22%3C%3E%5C%5E%60%7B%7C%7D%22"},
		"http://plain.test:PORT/?a=%0d%0aX:%20y&b=%zz": {"plain.test", "/?a=%0d%0aX:%20y&b=%zz"},
		"http://plain.test:PORT/a?b=c#d?e":             {"plain.test", "/a?b=c"},
		"http://plain.test:PORT?q=日本語#片":               {"plain.test", "/?q=%E6%97%A5%E6%9C%AC%E8%AA%9E"},
		"http://plain.test:PORT/?":                     {"plain.test", "/?"},
		"http://plain.test:PORT/%E2%80%AE//x":          {"plain.test", "/%E2%80%AE//x"},
	} {
		raw = strings.ReplaceAll(raw, "PORT", port)
		want[0] += ":" + port
		u, err := c.ParseURL(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		redirect, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://plain.test:"+port+"/from", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		redirect.Header.Set("X-Redirect", raw)
		plain, err := http.NewRequestWithContext(t.Context(), http.MethodGet, raw, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for how, req := range map[string]*http.Request{"as it is": plain, "parsed": parsed, "by a redirect": redirect} {
			before := req.URL.String()
			resp, err := c.Do(req)
			if err != nil {
				t.Errorf("%s, %s: %v", raw, how, err)
				continue
			}
			_ = resp.Body.Close()
			if got := <-asked; got != want {
				t.Errorf("%s, %s: asked for %q, want %q", raw, how, got, want)
			}
			if req.URL.String() != before {
				t.Errorf("%s, %s: the caller's request was changed", raw, how)
			}
		}
	}
}
