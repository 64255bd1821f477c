package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// minHS256 is the shortest HS256 key: as long as the hash (RFC 7518 §3.2).
const minHS256 = 32

// matches checks a text against a rule of the tags. Like parse, its errors never hold the text.
func matches(rule, text string) error {
	if rule != "pem" && strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("must not hold line breaks or other control characters")
	}
	switch rule {
	case "text":
		return nil
	case "token":
		if strings.ContainsFunc(text, unicode.IsSpace) {
			return errors.New("must not hold spaces")
		}
		return nil
	case "pem":
		if !strings.Contains(text, "-----BEGIN ") {
			return errors.New("must be PEM text, which begins with -----BEGIN")
		}
		return nil
	case "listen":
		return checkHostPort(text, true)
	case "admin":
		if text == "off" {
			return nil
		}
		return checkHostPort(text, true)
	case "hostport":
		return checkHostPort(text, false)
	case "host":
		return checkHost(text)
	case "dogstatsd":
		return checkDogStatsD(text)
	case "otlp":
		if text != "http/protobuf" {
			return errors.New("must be http/protobuf: point OTEL_EXPORTER_OTLP_ENDPOINT at the collector's HTTP port, usually 4318")
		}
		return nil
	case "http", "webhook":
		return checkHTTP(text)
	case "postgres":
		return checkPostgres(text)
	case "hs256":
		if len(text) < minHS256 {
			return fmt.Errorf("must be at least %d bytes long", minHS256)
		}
		return nil
	case "whsec":
		return checkWebhookSecret(text)
	default:
		return fmt.Errorf("has an unknown rule %q", rule)
	}
}

// checkHostPort takes an address to listen on (any host, port 0 for a free one) or to connect to.
func checkHostPort(text string, listen bool) error {
	wrong := errors.New("must be host:port, such as 127.0.0.1:8080")
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsFunc(host, unicode.IsSpace) || strings.ContainsAny(host, "/@") {
		return wrong
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return errors.New("must be host:port with a port number up to 65535")
	}
	if !listen && (host == "" || n == 0) {
		return wrong
	}
	return nil
}

// checkHost takes a name or an address without a port.
func checkHost(text string) error {
	if strings.ContainsAny(text, "/@?# ") || strings.Contains(text, ":") && net.ParseIP(text) == nil {
		return errors.New("must be the name or address of a host, without scheme and port")
	}
	return nil
}

func checkDogStatsD(text string) error {
	u, err := url.Parse(text)
	switch {
	case err == nil && u.User == nil && u.Scheme == "udp" && u.Hostname() != "" && strings.Trim(u.Path, "/") == "":
		return checkPort(u)
	case err == nil && u.Scheme == "unix" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	}
	return errors.New("must be udp://host:port or unix:///path/of/the/socket")
}

func checkHTTP(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("must be a URL that begins with https:// or http:// and names a host")
	}
	if u.User != nil {
		return errors.New("must not hold a user name or a password")
	}
	if u.Fragment != "" {
		return errors.New("must not hold a fragment (#…)")
	}
	return checkPort(u)
}

func checkPostgres(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" && u.Query().Get("host") == "" {
		return errors.New("must be a URL such as postgres://user:password@host:5432/database; special characters in the password are percent-encoded")
	}
	return checkPort(u)
}

func checkPort(u *url.URL) error {
	text := u.Port()
	if text == "" {
		return nil
	}
	if n, err := strconv.ParseUint(text, 10, 16); err != nil || n == 0 {
		return errors.New("must have a port from 1 to 65535")
	}
	return nil
}

// checkWebhookSecret follows Standard Webhooks 1.0, "Signature scheme": 24 to 64 random bytes in base64.
func checkWebhookSecret(text string) error {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return errors.New("must begin with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return errors.New("must be whsec_ and the base64 of 24 to 64 random bytes")
	}
	return nil
}
