package ratelimit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/ratelimit"
)

func TestAttempts_BlockAnAddressAfterSoManyFailures(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := ratelimit.NewAttempts(10, func() time.Time { return now })
	asked := 0
	blocked := func(text string) bool {
		_, is := a.Blocked(func() netip.Addr { asked++; return netip.MustParseAddr(text) })
		return is
	}
	if blocked("192.0.2.1") || asked != 0 {
		t.Errorf("nobody has failed, and %d addresses were looked for", asked)
	}
	for i := range 10 {
		if blocked("192.0.2.1") {
			t.Fatalf("it is blocked after %d failures", i)
		}
		a.Failed(netip.MustParseAddr("192.0.2.1"))
	}
	if retry, is := a.Blocked(func() netip.Addr { return netip.MustParseAddr("::ffff:192.0.2.1") }); !is || retry != 6*time.Second {
		t.Errorf("after ten failures it is blocked: %v, for %s", is, retry)
	}
	if blocked("192.0.2.2") {
		t.Error("another address is blocked")
	}
	for range 1000 { // a flood does not prolong it without end
		a.Failed(netip.MustParseAddr("192.0.2.1"))
	}
	if now = now.Add(6 * time.Second); blocked("192.0.2.1") {
		t.Error("it is still blocked after six seconds")
	}
	for range 10 {
		a.Failed(netip.MustParseAddr("2001:db8:0:1::1"))
	}
	if !blocked("2001:db8:0:1:ffff::2") || blocked("2001:db8:0:2::1") {
		t.Error("an IPv6 client is not its /64")
	}
	now = now.Add(2 * time.Minute)
	if blocked("2001:db8:0:1::1") || blocked("192.0.2.1") {
		t.Error("failures are remembered for more than a minute")
	}
}
