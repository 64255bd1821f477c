package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Origins are web origins (RFC 6454) in the form in which browsers send them.
type Origins []string

// parseOrigins accepts exact origins only: what is not written as a browser writes it would never match.
func parseOrigins(text string, field *Origins) error {
	var out Origins
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || part == "null" || strings.Contains(part, "*") {
			return fmt.Errorf("must name each origin: %s stands for pages of anybody", part)
		}
		u, err := url.Parse(part)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			return fmt.Errorf("must be a list of origins such as https://app.example.com; %q is not one", part)
		}
		origin := u.Scheme + "://" + strings.ToLower(u.Host)
		for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
			if u.Scheme == scheme {
				origin = strings.TrimSuffix(strings.TrimSuffix(origin, port), ":")
			}
		}
		if part != origin {
			return fmt.Errorf("must give origins as browsers do: %s and not %s", origin, part)
		}
		for _, c := range []byte(part) {
			if c <= ' ' || c >= 0x7f {
				return fmt.Errorf("must give host names in ASCII (punycode), unlike %q", part)
			}
		}
		if !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	*field = out
	return nil
}
