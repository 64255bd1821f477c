package egress

import (
	"errors"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"

	"github.com/larirun/lari/internal/platform/fault"
)

// azureWireServer answers on every Azure machine with its credentials. It is the one metadata service
// whose address is not in any special-purpose registry, so the library's list does not hold it.
var azureWireServer = netip.MustParsePrefix("168.63.129.16/32")

// guard decides about an address at the moment of connecting, when DNS has had its last word.
type guard struct{ guardian *ssrf.Guardian }

func newGuard(cfg Config) guard {
	var v4, v6 []netip.Prefix
	for _, p := range cfg.Allow {
		switch addr := p.Addr(); {
		case addr.Is4():
			v4 = append(v4, p)
		case addr.Is4In6() && p.Bits() >= 96:
			v4 = append(v4, netip.PrefixFrom(addr.Unmap(), p.Bits()-96))
		default:
			v6 = append(v6, p)
		}
	}
	return guard{ssrf.New(
		ssrf.WithPorts(cfg.Ports...),
		ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(azureWireServer),
	)}
}

// control is a net.Dialer's Control: it sees the very address that connect(2) gets.
func (g guard) control(network, address string, conn syscall.RawConn) error {
	return refusal(g.guardian.Safe(network, address, conn))
}

func (g guard) addr(ip netip.Addr) error { return refusal(g.guardian.SafeAddr(ip.Unmap())) }

func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ssrf.ErrProhibitedPort):
		return fault.Wrap(err, fault.Forbidden, "this destination port is not allowed")
	default:
		return fault.Wrap(err, fault.Forbidden, noDestination)
	}
}
