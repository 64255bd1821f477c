package harness

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/config"
)

// Proxy stands between a process and a server that it needs, and breaks on demand. It begins healed.
type Proxy struct {
	Address  string // where the process is to connect, host:port
	upstream string

	mu       sync.Mutex
	listener net.Listener // nil: connections are refused
	conns    map[net.Conn]struct{}
	state    *state
	lose     []byte // see LoseAnswerTo
	lost     chan struct{}
	traps    []*Trap
	all      sync.WaitGroup
}

// state is how bytes pass at a time; over is closed when another one follows.
type state struct {
	requests, answers bool // whether they pass
	over              chan struct{}
}

// NewProxy makes a proxy before a server; it is gone when the test ends.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	// An address of its own: no connection's local port can take this port while the proxy is cut. Where
	// only 127.0.0.1 is a loopback address, that must do.
	own := net.IPv4(127, 1+rand.N[byte](200), rand.N[byte](250), 2+rand.N[byte](250)).String()
	listener, err := net.Listen("tcp", net.JoinHostPort(own, "0"))
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatalf("listen for a proxy: %v", err)
	}
	p := &Proxy{Address: listener.Addr().String(), upstream: upstream, listener: listener, conns: map[net.Conn]struct{}{}}
	p.state = &state{requests: true, answers: true, over: make(chan struct{})}
	p.all.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		p.Cut()
		p.all.Wait()
	})
	return p
}

// Behind gives the system's configuration with a proxy before Postgres and one before Temporal.
func (s *System) Behind(t testing.TB) (cfg config.Config, database, temporal *Proxy) {
	t.Helper()
	u, err := url.Parse(s.Database.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg = s.Config
	database, temporal = NewProxy(t, u.Host), NewProxy(t, cfg.Temporal.Address)
	u.Host = database.Address
	cfg.DatabaseURL, cfg.DatabaseDirectURL = config.NewURL(u.String()), config.NewURL(u.String())
	cfg.Temporal.Address = temporal.Address
	return cfg, database, temporal
}

// Cut breaks every connection and refuses new ones: the server is down.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for conn := range p.conns {
		_ = conn.Close()
	}
	clear(p.conns)
	p.become(false, false)
}

// Stall accepts connections and lets nothing pass, in either direction: the network has gone silent.
// What is sent meanwhile arrives after Heal.
func (p *Proxy) Stall() { p.set(false, false) }

// Mute lets requests pass and holds answers back: the server works, and nobody hears of it.
func (p *Proxy) Mute() { p.set(true, false) }

// LoseAnswerTo lets the next request that holds the text pass, and breaks its connection when the answer
// comes: what was asked for has happened, and nobody knows. The channel is closed when it has.
func (p *Proxy) LoseAnswerTo(text string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.lost = []byte(text), make(chan struct{})
	return p.lost
}

// Heal ends Cut, Stall, Mute and every Trap.
func (p *Proxy) Heal(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		listener, err := net.Listen("tcp", p.Address)
		if err != nil {
			t.Fatalf("listen again for a proxy: %v", err)
		}
		p.listener = listener
		p.all.Go(func() { p.accept(listener) })
	}
	p.traps = nil
	p.become(true, true)
}

// Trap breaks the connections of some requests: for whoever makes them the server is away.
type Trap struct {
	Reached chan struct{} // closed when the first connection has been broken

	proxy *Proxy
	text  []byte
	hit   bool
}

// Trap breaks the connection of every request that holds the text. Let it be followed by Only.
func (p *Proxy) Trap(text string) *Trap {
	t := &Trap{Reached: make(chan struct{}), proxy: p, text: []byte(text)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traps = append(p.traps, t)
	return t
}

// Only lets the trap break, from now on, every request that holds the id, in the binary form, and no other.
func (t *Trap) Only(id uuid.UUID) {
	t.proxy.mu.Lock()
	defer t.proxy.mu.Unlock()
	t.text = id[:]
}

// trapped reports whether the request's connection is to be broken.
func (p *Proxy) trapped(request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.traps {
		if !bytes.Contains(request, t.text) {
			continue
		}
		if !t.hit {
			t.hit = true
			close(t.Reached)
		}
		return true
	}
	return false
}

func (p *Proxy) set(requests, answers bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.become(requests, answers)
}

func (p *Proxy) become(requests, answers bool) {
	close(p.state.over)
	p.state = &state{requests: requests, answers: answers, over: make(chan struct{})}
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil || !p.keep(client, server) {
			_ = client.Close()
			continue
		}
		var losing atomic.Pointer[chan struct{}]
		p.all.Go(func() {
			p.pump(server, client, func(s *state) bool { return s.requests }, func(request []byte) bool {
				if p.trapped(request) {
					return false
				}
				if lost := p.loses(request); lost != nil {
					losing.Store(&lost)
				}
				return true
			})
		})
		p.all.Go(func() {
			p.pump(client, server, func(s *state) bool { return s.answers }, func([]byte) bool {
				lost := losing.Load()
				if lost != nil {
					close(*lost)
				}
				return lost == nil
			})
		})
	}
}

// loses reports, once, that the answer to the request is to be lost.
func (p *Proxy) loses(request []byte) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == nil || !bytes.Contains(request, p.lose) {
		return nil
	}
	p.lose = nil
	return p.lost
}

func (p *Proxy) keep(client, server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil { // cut at this moment
		_ = server.Close()
		return false
	}
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	return true
}

// pump carries bytes one way while they may pass, until either side ends or look says so.
func (p *Proxy) pump(to, from net.Conn, passes func(*state) bool, look func([]byte) bool) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, to)
		delete(p.conns, from)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && (!p.wait(to, passes) || !look(buffer[:n])) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait returns when bytes may pass; false: the connection has been cut.
func (p *Proxy) wait(conn net.Conn, passes func(*state) bool) bool {
	for {
		p.mu.Lock()
		now := p.state
		_, open := p.conns[conn]
		p.mu.Unlock()
		switch {
		case !open:
			return false
		case passes(now):
			return true
		}
		<-now.over
	}
}
