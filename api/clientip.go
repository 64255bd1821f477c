package api

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// proxies are the networks whose word about their clients is taken.
type proxies []netip.Prefix

func (p proxies) trust(addr netip.Addr) bool {
	for _, network := range p {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// client gives the address that a request comes from: that of the connection or, when a trusted proxy
// made the connection, the last one in X-Forwarded-For that is not a trusted proxy's. Whatever stands
// before that one is the client's own claim.
func (p proxies) client(ctx *fasthttp.RequestCtx) netip.Addr {
	var addr netip.Addr
	if tcp, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		addr = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	if !p.trust(addr) {
		return addr
	}
	values := ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor)
	for i := len(values) - 1; i >= 0; i-- {
		for rest := values[i]; rest != nil; {
			last := rest
			if comma := bytes.LastIndexByte(rest, ','); comma >= 0 {
				rest, last = rest[:comma], rest[comma+1:]
			} else {
				rest = nil
			}
			hop, err := netip.ParseAddr(string(bytes.TrimSpace(last)))
			if err != nil { // what no proxy writes: nothing before it can be believed
				return addr
			}
			addr = hop.Unmap().WithZone("")
			if !p.trust(addr) {
				return addr
			}
		}
	}
	return addr
}
