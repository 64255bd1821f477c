package postgres_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a test and Postgres: it counts round trips, and it can vanish, come back on the
// same port, and fall silent.
type proxy struct {
	t        *testing.T
	address  string
	upstream string
	trips    atomic.Int64 // how often the client spoke after the server had
	silent   atomic.Bool  // what the server says is thrown away

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	wg       sync.WaitGroup
}

// newProxy gives a proxy and the URL that leads through it.
func newProxy(t *testing.T, to string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, address: "127.0.0.1:0", upstream: u.Host}
	p.up()
	t.Cleanup(p.down)
	u.Host = p.address
	query := u.Query()
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	return p, u.String()
}

// up listens, the second time on the same port.
func (p *proxy) up() {
	p.t.Helper()
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.address = listener, listener.Addr().String()
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.upstream)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			if p.listener != listener { // it went down meanwhile
				_, _ = client.Close(), server.Close()
			} else {
				p.conns = append(p.conns, client, server)
				p.join(client, server)
			}
			p.mu.Unlock()
		}
	})
}

// down refuses new connections and breaks those that are.
func (p *proxy) down() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
	}
	p.listener = nil
	p.mu.Unlock()
	p.cut()
	p.wg.Wait()
}

// cut breaks the connections that are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

func (p *proxy) join(client, server net.Conn) {
	var answered atomic.Bool
	answered.Store(true)
	pump := func(to io.Writer, from io.Reader, heard func() (pass bool)) {
		defer func() { _, _ = client.Close(), server.Close() }()
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if n > 0 && heard() {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	p.wg.Go(func() {
		pump(server, client, func() bool {
			if answered.Swap(false) {
				p.trips.Add(1)
			}
			return true
		})
	})
	p.wg.Go(func() {
		pump(client, server, func() bool {
			answered.Store(true)
			return !p.silent.Load()
		})
	})
}
