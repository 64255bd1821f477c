package egress

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(texts))
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func wantForbidden(t *testing.T, err error) {
	t.Helper()
	if !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "private network that is not allowed") {
		t.Fatalf("error %v, want a refusal of private networks", err)
	}
}

// TestConnectRefusesPrivateAddresses takes the dialer alone: it must hold without the check of URLs.
func TestConnectRefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	srv, connections := serve(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) {})
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Config{AllowHTTP: true})
	for _, ip := range []string{
		"127.0.0.1", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%lo",
		"169.254.169.254", "168.63.129.16", "100.64.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "224.0.0.1",
		"ff02::1", "255.255.255.255", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:7f00:1::", "fd00::1",
	} {
		conn, err := c.transport.DialContext(t.Context(), "tcp", net.JoinHostPort(ip, port))
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s was reached", ip)
			continue
		}
		wantForbidden(t, Fault(err))
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestConnectAllowsConfiguredNetworks(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, "127.0.0.1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, allow := range []string{"127.0.0.1/32", "::ffff:127.0.0.1/128", "127.0.0.0/8"} {
		resp, err := get(t, newClient(t, Config{AllowHTTP: true, Allow: prefixes(allow)}), srv.URL)
		if err != nil || resp.StatusCode != http.StatusTeapot {
			t.Errorf("allowing %s: %v, %v", allow, resp, err)
		}
	}
	if _, err := get(t, newClient(t, Config{AllowHTTP: true, Allow: prefixes("127.0.0.2/32")}), srv.URL); !fault.Is(err, fault.Forbidden) {
		t.Errorf("another network was allowed: %v", err)
	}
}

func TestConnectRefusesPorts(t *testing.T) {
	t.Parallel()
	c := newClient(t, Config{AllowHTTP: true, Allow: prefixes("127.0.0.1/32"), Ports: []uint16{443}})
	_, err := c.transport.DialContext(t.Context(), "tcp", "127.0.0.1:22")
	if !fault.Is(Fault(err), fault.Forbidden) || !strings.Contains(err.Error(), "port is not allowed") {
		t.Errorf("error %v, want a refusal of the port", err)
	}
}

func TestNamesOfPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	addresses := map[string]string{
		"loopback.test.": "127.0.0.1", "loopback6.test.": "::1", "metadata.test.": "169.254.169.254",
		"private.test.": "10.0.0.7", "mapped.test.": "::ffff:127.0.0.1", "nat64.test.": "64:ff9b::7f00:1",
		"any.test.": "0.0.0.0", "2130706433.test.": "127.0.0.1",
	}
	answers := map[string][]netip.Addr{}
	for name, ip := range addresses {
		answers[name] = []netip.Addr{netip.MustParseAddr(ip)}
	}
	c := newClient(t, Config{AllowHTTP: true, Resolver: newDNS(t, answers)})
	for name := range addresses {
		url := "http://" + strings.TrimSuffix(name, ".") + ":8080/"
		if _, err := c.ParseURL(url); err != nil {
			t.Errorf("%s: a name is refused before it is known: %v", url, err)
		}
		_, err := get(t, c, url)
		wantForbidden(t, err)
	}
}

// What does not exist and what is not allowed are told alike: a caller must not learn which names there are inside.
func TestFault_IsTheSameForAbsentAndPrivateHosts(t *testing.T) {
	t.Parallel()
	c := newClient(t, Config{AllowHTTP: true, Resolver: newDNS(t, map[string][]netip.Addr{
		"inside.test.": {netip.MustParseAddr("10.0.0.1")}, "meta.test.": {netip.MustParseAddr("169.254.169.254")}, "local.test.": {netip.MustParseAddr("127.0.0.1")},
	})})
	said := map[string][]string{}
	for _, host := range []string{"absent.test", "inside.test", "inside.test:22", "meta.test", "local.test:1", "10.0.0.1", "[::1]"} {
		_, err := get(t, c, "http://"+host+"/")
		var f *fault.Error
		if !errors.As(err, &f) {
			t.Fatalf("%s: %v", host, err)
		}
		text := string(f.Code) + ": " + f.Detail
		said[text] = append(said[text], host)
	}
	if len(said) != 1 {
		t.Errorf("the hosts are told apart: %v", said)
	}
}

// TestRebinding answers the first question with a public address and the second with a private one.
func TestRebinding(t *testing.T) {
	t.Parallel()
	inside, outside := listenTwice(t, "127.0.0.1", "127.0.0.2")
	_, port, err := net.SplitHostPort(inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, outsideSeen := serveOn(t, outside, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})
	insideSeen := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := inside.Accept(); err == nil {
			insideSeen <- struct{}{}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = inside.Close(); <-done })

	resolver := newDNS(t, map[string][]netip.Addr{
		"rebind.test.": {netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")},
	})
	c := newClient(t, Config{AllowHTTP: true, Allow: []netip.Prefix{public}, Resolver: resolver})
	url := "http://rebind.test:" + port + "/"
	if _, err := get(t, c, url); err != nil || outsideSeen.Load() != 1 {
		t.Fatalf("the public answer: %v, %d connections", err, outsideSeen.Load())
	}
	_, err = get(t, c, url)
	wantForbidden(t, err)
	select {
	case <-insideSeen:
		t.Error("the private address was connected to")
	default:
	}
}

// listenTwice listens on the same port of two addresses.
func listenTwice(t *testing.T, first, second string) (a, b net.Listener) {
	t.Helper()
	var lc net.ListenConfig
	var err error
	for range 20 {
		if a, err = lc.Listen(t.Context(), "tcp", net.JoinHostPort(first, "0")); err != nil {
			continue
		}
		_, port, _ := net.SplitHostPort(a.Addr().String())
		if b, err = lc.Listen(t.Context(), "tcp", net.JoinHostPort(second, port)); err == nil {
			return a, b
		}
		_ = a.Close() // somebody has the port on the second address
	}
	t.Fatal(err)
	return nil, nil
}
