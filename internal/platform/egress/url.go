package egress

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/larirun/lari/internal/platform/fault"
)

// MaxURLLength is the longest URL that is taken, in bytes.
const MaxURLLength = 2048

// ParseURL reads a destination that somebody chose. What breaks the form of a URL is fault.Invalid; a
// destination that is refused whatever DNS says is fault.Forbidden. A name that passes may still be
// refused when the client connects: only then is its address known.
func ParseURL(raw string, cfg Config) (*url.URL, error) {
	return parseURL(raw, cfg, newGuard(cfg))
}

func parseURL(raw string, cfg Config, g guard) (*url.URL, error) {
	if len(raw) > MaxURLLength {
		return nil, fault.InvalidField("url", "max", "must be at most %d bytes long", MaxURLLength)
	}
	unprintable := func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }
	if !utf8.ValidString(raw) || strings.ContainsFunc(raw, unprintable) {
		return nil, fault.InvalidField("url", "url", "must be UTF-8 without spaces and control characters")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fault.InvalidField("url", "url", "cannot be read as a URL")
	}
	if err := checkURL(u, cfg, g); err != nil {
		return nil, err
	}
	return canonical(u), nil
}

// canonical returns the URL as it goes over the wire: the host in ASCII, path and query in the characters of RFC 3986
// alone, everything else as the percent-encoded bytes of its UTF-8, which is what browsers send (WHATWG URL Standard),
// and no fragment. net/url writes a query as it was given, and forgets that a slash was %2F where another character
// needs encoding; net/http turns a host into ASCII without mapping it to lower case first. What is canonical already is
// returned as it is.
func canonical(u *url.URL) *url.URL {
	host, path, query := asciiAuthority(u), percentEncoded(u.RawPath), percentEncoded(u.RawQuery)
	if host == u.Host && path == u.RawPath && query == u.RawQuery && u.Fragment == "" {
		return u
	}
	out := *u
	out.Host, out.RawPath, out.RawQuery = host, path, query
	out.Fragment, out.RawFragment = "", ""
	return &out
}

// asciiAuthority returns host and port with the host as checkHost judged it.
func asciiAuthority(u *url.URL) string {
	name := u.Hostname()
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return u.Host
	}
	mapped, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return u.Host // checkHost refuses it
	}
	return mapped + strings.TrimPrefix(u.Host, name)
}

// percentEncoded encodes what RFC 3986 has nowhere in a URL. What is encoded already stays.
func percentEncoded(text string) string {
	plain := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~:/?#@!$&'()*+,;=%[]", c) >= 0
	}
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; plain(c) {
			out.WriteByte(c)
		} else {
			const digits = "0123456789ABCDEF"
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return out.String()
}

func checkURL(u *url.URL, cfg Config, g guard) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fault.InvalidField("url", "scheme", "must begin with https:// or http://")
	case u.Scheme == "http" && !cfg.AllowHTTP:
		return fault.New(fault.Forbidden, "unencrypted http is not allowed, use https")
	case u.User != nil:
		return fault.InvalidField("url", "userinfo", "must not hold a user name or a password")
	case u.Opaque != "" || u.Hostname() == "":
		return fault.InvalidField("url", "host", "must name a host")
	}
	if err := checkPort(u, cfg); err != nil {
		return err
	}
	return checkHost(u.Hostname(), g)
}

func checkPort(u *url.URL, cfg Config) error {
	text := u.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return fault.InvalidField("url", "port", "must have a port between 1 and 65535")
	}
	if len(cfg.Ports) > 0 && !slices.Contains(cfg.Ports, uint16(port)) {
		return fault.New(fault.Forbidden, "this destination port is not allowed")
	}
	return nil
}

// checkHost refuses what can be refused without DNS. Numbers that are no plain address (2130706433,
// 0177.0.0.1, 0x7f.1) are refused too: some resolvers read them as IPv4 in the manner of inet_aton(3),
// others ask DNS for them; by the WHATWG URL Standard ("ends in a number") they are never names.
func checkHost(host string, g guard) error {
	ascii := host
	if !strings.Contains(host, ":") { // an IPv6 address is no name
		name, err := idna.Lookup.ToASCII(host) // the transport does the same; it turns ①②⑦.⓪.⓪.① into 127.0.0.1
		if err != nil {
			if name, err = asciiHost(host); err != nil {
				return err
			}
		}
		ascii = strings.TrimSuffix(name, ".")
	}
	if ip, err := netip.ParseAddr(ascii); err == nil {
		if ip.Zone() != "" {
			return fault.New(fault.Forbidden, noDestination)
		}
		return g.addr(ip)
	}
	if endsInNumber(ascii) {
		return fault.New(fault.Forbidden, "an IPv4 address must be written as four decimal numbers")
	}
	return nil
}

// asciiHost passes names that IDNA refuses and DNS knows, such as those with an underscore.
func asciiHost(host string) (string, error) {
	if len(host) > 253 {
		return "", fault.InvalidField("url", "host", "must have a host name of at most 253 bytes")
	}
	for _, r := range host {
		plain := r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !plain {
			return "", fault.InvalidField("url", "host", "must name a valid host")
		}
	}
	return host, nil
}

func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	hex, found := strings.CutPrefix(strings.ToLower(last), "0x")
	return found && strings.Trim(hex, "0123456789abcdef") == ""
}
