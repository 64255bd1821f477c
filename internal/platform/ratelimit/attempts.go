package ratelimit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	// attemptAddresses bounds the addresses that are remembered; beyond it those that failed least lately are forgotten.
	attemptAddresses = 10_000
	// attemptNetwork is how much of an IPv6 address counts as one client: a site has at least a /64 (RFC 6177).
	attemptNetwork = 64
)

// Attempts counts failures by address, in one process: so many a minute, and as many at once. An address without
// failures costs nothing. It is safe for concurrent use.
type Attempts struct {
	every time.Duration // until one failure is forgiven
	burst int
	clock func() time.Time

	known atomic.Int64 // addresses with failures; zero: nobody is looked for
	mu    sync.Mutex
	clean *lru.LRU[netip.Addr, time.Time] // when all failures of the address are forgiven
}

// NewAttempts makes a counter that allows so many failures a minute. clock must be monotonic, as time.Now is.
func NewAttempts(perMinute int, clock func() time.Time) *Attempts {
	clean, _ := lru.NewLRU[netip.Addr, time.Time](attemptAddresses, nil) // it fails for a size below one
	return &Attempts{every: Window / time.Duration(perMinute), burst: perMinute, clock: clock, clean: clean}
}

// network is what counts as one client.
func network(addr netip.Addr) netip.Addr {
	if addr.Is6() && !addr.Is4In6() {
		if p, err := addr.WithZone("").Prefix(attemptNetwork); err == nil {
			return p.Addr()
		}
	}
	return addr.Unmap()
}

// Blocked reports whether the address has failed too often, and when it may try again. It asks for the address only
// when any has failed.
func (a *Attempts) Blocked(addr func() netip.Addr) (retry time.Duration, blocked bool) {
	if a.known.Load() == 0 {
		return 0, false
	}
	of, now := network(addr()), a.clock()
	a.mu.Lock()
	defer a.mu.Unlock()
	clean, ok := a.clean.Peek(of)
	if !ok {
		return 0, false
	}
	owed := clean.Sub(now)
	if owed <= 0 {
		a.clean.Remove(of)
		a.known.Store(int64(a.clean.Len()))
		return 0, false
	}
	over := owed - time.Duration(a.burst-1)*a.every
	return over, over > 0
}

// Failed counts a failure of the address. A flood of them does not block it for longer than a minute.
func (a *Attempts) Failed(addr netip.Addr) {
	of, now := network(addr), a.clock()
	a.mu.Lock()
	defer a.mu.Unlock()
	clean, ok := a.clean.Get(of)
	if !ok || clean.Before(now) {
		clean = now
	}
	if clean = clean.Add(a.every); clean.Sub(now) > Window {
		clean = now.Add(Window)
	}
	a.clean.Add(of, clean)
	a.known.Store(int64(a.clean.Len()))
}
