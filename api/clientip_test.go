package api

import (
	"net"
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		trusted   proxies
		peer      string
		forwarded []string
		want      string
	}{
		"none configured":             {nil, "10.0.0.1", []string{"198.51.100.1"}, "10.0.0.1"},
		"a stranger's claim":          {trusted, "192.0.2.1", []string{"198.51.100.1"}, "192.0.2.1"},
		"one proxy":                   {trusted, "10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"two proxies":                 {trusted, "10.0.0.1", []string{"198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		"the client's own claim":      {trusted, "10.0.0.1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		"several headers":             {trusted, "10.0.0.1", []string{"1.1.1.1", "198.51.100.1 ,10.2.2.2"}, "198.51.100.1"},
		"all trusted":                 {trusted, "10.0.0.1", []string{"10.1.1.1, 10.2.2.2"}, "10.1.1.1"},
		"no header":                   {trusted, "10.0.0.1", nil, "10.0.0.1"},
		"an empty header":             {trusted, "10.0.0.1", []string{""}, "10.0.0.1"},
		"nonsense":                    {trusted, "10.0.0.1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		"nonsense before a proxy":     {trusted, "10.0.0.1", []string{"198.51.100.1, x, 10.3.3.3"}, "10.3.3.3"},
		"a port":                      {trusted, "10.0.0.1", []string{"198.51.100.1:80"}, "10.0.0.1"},
		"IPv6":                        {trusted, "fd00::1", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv4 in IPv6 as the peer":    {trusted, "::ffff:10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"IPv4 in IPv6 in the header":  {trusted, "10.0.0.1", []string{"198.51.100.1, ::ffff:10.4.4.4"}, "198.51.100.1"},
		"a zone is no part of a name": {trusted, "10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
	} {
		var req fasthttp.Request
		for _, value := range c.forwarded {
			req.Header.Add("X-Forwarded-For", value)
		}
		var ctx fasthttp.RequestCtx
		ctx.Init(&req, &net.TCPAddr{IP: net.ParseIP(c.peer), Port: 4711}, nil)
		if got := c.trusted.client(&ctx); got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
