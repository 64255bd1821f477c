package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	prefix = "LARI_"
	// testPrefix belongs to the project's own tests.
	testPrefix = "LARI_TEST_"
	// These two belong to the client, lari run, and are exported in many a shell that starts a server.
	clientURL   = "LARI_API_URL"
	clientToken = "LARI_TOKEN"
	// maxShown bounds how much of a wrong value is repeated, in characters.
	maxShown = 60
)

// Environ turns os.Environ into what Load takes.
func Environ(pairs []string) map[string]string {
	out := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok {
			out[name] = value
		}
	}
	return out
}

// Load reads the configuration. An empty value counts as unset, white space around a value is dropped.
// The error is a fault.Invalid that lists every problem at once, with a field for each; it shows no
// value of a variable that may hold a secret. What a role cannot do without is checked by Validate.
func Load(environ map[string]string) (Config, error) {
	var c Config
	var p problems
	known := map[string]bool{}
	for _, v := range variables(&c) {
		known[v.name] = true
		text, set := environ[v.name]
		text = strings.TrimSpace(text)
		if text == "" && (!set || !v.emptyNone) {
			text = v.byDefault
		}
		if text == "" {
			continue
		}
		if err := v.parse(text); err != nil {
			p.add(v.name, "format", "%s", v.complaint(text, err))
			v.value.SetZero() // so that nothing else is concluded from it
		}
	}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, testPrefix) && name != clientURL && name != clientToken && !known[name] {
			p.add(name, "unknown", "is not a variable of Lari%s", didYouMean(name, known))
		}
	}
	c.derive()
	c.check(&p)
	if err := p.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// complaint repeats a value that cannot be a secret, so that its owner finds the mistake.
func (v variable) complaint(text string, err error) string {
	switch v.value.Interface().(type) {
	case Secret, URL:
		return err.Error()
	}
	if v.rule == "http" { // was perhaps refused because it holds a password
		return err.Error()
	}
	if runes := []rune(text); len(runes) > maxShown {
		text = string(runes[:maxShown]) + "…"
	}
	return fmt.Sprintf("is %q but %s", text, err)
}

// derive fills what other variables give.
func (c *Config) derive() {
	if c.AdminAddr == "off" {
		c.AdminAddr = ""
	}
	if c.DatabaseDirectURL.Empty() {
		c.DatabaseDirectURL = c.DatabaseURL
	}
	if c.Auth.SupabaseURL == "" {
		return
	}
	auth := strings.TrimRight(c.Auth.SupabaseURL, "/") + "/auth/v1"
	if c.Auth.JWKSURL == "" {
		c.Auth.JWKSURL = auth + "/.well-known/jwks.json"
	}
	if c.Auth.Issuer == "" {
		c.Auth.Issuer = auth
	}
}
