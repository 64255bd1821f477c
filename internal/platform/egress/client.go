// Package egress sends HTTP requests to destinations that somebody else chose: a tenant's webhook, a
// page that a model wants to read. Such a request must not become a door into the network that the
// process stands in (server-side request forgery), nor hang, nor fill the memory.
//
// The address is checked when the connection is made, after DNS, by the dialer itself: between the
// check and the connection there is no time in which a name could change its address. URLs are checked
// at every hop of a redirect. There is no proxy, no cookie and no way round: the checks are inside the
// client's transport.
package egress

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
)

// Client sends guarded requests. Many goroutines may use it at once.
type Client struct {
	cfg       Config
	guard     guard
	transport *http.Transport
	http      *http.Client
}

// New makes a client. Close it when it is no longer needed.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	g := newGuard(cfg)
	dialer := &net.Dialer{
		Timeout:  min(maxConnectTime, cfg.Timeout),
		Resolver: cfg.Resolver,
		Control:  g.control,
	}
	transport := &http.Transport{
		Proxy:                  nil, // a proxy would connect for us, to where our guard cannot look
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs},
		TLSHandshakeTimeout:    min(maxConnectTime, cfg.Timeout),
		ResponseHeaderTimeout:  min(maxHeaderWait, cfg.Timeout),
		MaxResponseHeaderBytes: maxHeaderBytes,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
	}
	c := &Client{cfg: cfg, guard: g, transport: transport}
	c.http = &http.Client{
		Transport:     checkedTransport{cfg: cfg, guard: g, next: transport},
		CheckRedirect: redirectPolicy(cfg.MaxRedirects),
		Timeout:       cfg.Timeout,
	}
	return c
}

// HTTP gives the guarded client in the standard library's form. Errors of its methods hold the
// *fault.Error of a refusal; Fault gives every other failure a code.
func (c *Client) HTTP() *http.Client { return c.http }

// ParseURL is the function ParseURL with the client's configuration.
func (c *Client) ParseURL(raw string) (*url.URL, error) { return parseURL(raw, c.cfg, c.guard) }

// Do sends a request. A failure is a *fault.Error: forbidden for a refused destination, see Fault.
// The caller closes the response's body, and reads it with ReadBody.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, Fault(err)
	}
	return resp, nil
}

// ReadBody reads at most Config.MaxResponseBytes of the response. See ReadBounded.
func (c *Client) ReadBody(resp *http.Response) (body []byte, cut bool, err error) {
	return ReadBounded(resp.Body, c.cfg.MaxResponseBytes)
}

// Close ends idle connections. Requests under way go on until their own end.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// checkedTransport looks at the URL of every request, so that neither a caller who forgot ParseURL nor
// a redirect gets round the rules.
type checkedTransport struct {
	cfg   Config
	guard guard
	next  http.RoundTripper
}

func (t checkedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkURL(req.URL, t.cfg, t.guard); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // RoundTrip owes this to its caller; there is nobody to tell about a failure
		}
		return nil, err
	}
	if u := canonical(req.URL); u != req.URL {
		host := req.Host
		if host == req.URL.Host {
			host = u.Host
		}
		req = req.Clone(req.Context()) // RoundTrip must not change its caller's request
		req.URL, req.Host = u, host
	}
	resp, err := t.next.RoundTrip(req)
	if err == nil {
		if to := resp.Header.Get("Location"); to != "" { // net/http resolves it before it comes here again
			resp.Header.Set("Location", percentEncoded(to))
		}
	}
	return resp, err
}

func redirectPolicy(limit int) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if limit <= 0 {
			return http.ErrUseLastResponse
		}
		if len(via) > limit {
			return fault.New(fault.Forbidden, "more than %d redirects", limit)
		}
		req.Header.Del("Referer") // it would tell the next host the query of this URL
		return nil
	}
}
