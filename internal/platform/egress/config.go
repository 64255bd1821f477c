package egress

import (
	"cmp"
	"crypto/x509"
	"net"
	"net/netip"
	"time"
)

// Config says where requests may go and how much they may cost. The zero Config is the strict one:
// https to public addresses only, on any port, redirects not followed.
type Config struct {
	Allow            []netip.Prefix // networks that may be reached although they are not public (LARI_EGRESS_ALLOW)
	AllowHTTP        bool           // permit http:// besides https://
	Ports            []uint16       // destination ports; empty: any
	Timeout          time.Duration  // for a whole exchange, redirects and body included; zero: 15 s
	MaxResponseBytes int64          // of a body, after decompression; zero: 1 MiB
	MaxRedirects     int            // hops that are followed; zero: the 3xx response itself is the answer
	Resolver         *net.Resolver  // nil: the system's
	RootCAs          *x509.CertPool // nil: the system's
}

const (
	defaultTimeout          = 15 * time.Second
	defaultMaxResponseBytes = 1 << 20
	maxConnectTime          = 5 * time.Second
	maxHeaderWait           = 10 * time.Second
	maxHeaderBytes          = 64 << 10
)

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.MaxResponseBytes = cmp.Or(c.MaxResponseBytes, defaultMaxResponseBytes)
	return c
}
