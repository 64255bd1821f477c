package config

import (
	"slices"
	"strings"
	"testing"
)

func TestOrigins_AreExact(t *testing.T) {
	t.Parallel()
	var o Origins
	if err := parseOrigins("https://app.example.com, http://localhost:5173,http://[::1]:8080,https://app.example.com", &o); err != nil ||
		!slices.Equal(o, Origins{"https://app.example.com", "http://localhost:5173", "http://[::1]:8080"}) {
		t.Errorf("%v, %v", o, err)
	}
	for text, says := range map[string]string{
		"*":                           "name each origin",
		"null":                        "name each origin",
		"https://*.example.com":       "name each origin",
		"app.example.com":             "is not one",
		"ftp://example.com":           "is not one",
		"https://":                    "is not one",
		"https://u@example.com":       "is not one",
		"https://a.com,":              "is not one",
		"https://example.com/":        "https://example.com and not",
		"https://example.com/app":     "https://example.com and not",
		"https://Example.com":         "https://example.com and not",
		"HTTPS://example.com":         "https://example.com and not",
		"https://example.com:443":     "https://example.com and not",
		"http://example.com:80":       "http://example.com and not",
		"https://example.com?x":       "https://example.com and not",
		"https://b\u00fccher.example": "ASCII",
	} {
		o := Origins{"before"}
		if err := parseOrigins(text, &o); err == nil || !strings.Contains(err.Error(), says) || !slices.Equal(o, Origins{"before"}) {
			t.Errorf("%s: %v, %v", text, o, err)
		}
	}
}
