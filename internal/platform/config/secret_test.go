package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

const marker = "hunter2"

// hidden gives every variable of type Secret or URL, with a value of the right form that holds the marker.
func hidden(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, v := range variables(&Config{}) {
		switch v.rule {
		case "hs256":
			out[v.name] = strings.Repeat(marker, 5)
		case "whsec":
			out[v.name] = "whsec_" + strings.Repeat(marker+"A", 4)
		case "pem":
			out[v.name] = "-----BEGIN X-----\n" + marker
		case "postgres":
			out[v.name] = "postgres://lari:" + marker + "@db:5432/lari?sslmode=require&password=" + marker
		case "webhook":
			out[v.name] = "https://hooks.example.com/services/" + marker + "?token=" + marker
		case "token":
			out[v.name] = "sk-" + marker
		default:
			switch v.value.Interface().(type) {
			case Secret, URL:
				t.Fatalf("%s: the test knows no value for rule %q", v.name, v.rule)
			}
		}
	}
	return out
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	environ := hidden(t)
	c := load(t, environ)
	found := 0
	for _, v := range variables(&c) {
		secret, ok := v.value.Interface().(interface{ Reveal() string })
		if !ok {
			continue
		}
		found++
		if secret.Reveal() != environ[v.name] {
			t.Errorf("%s: Reveal = %q, want %q", v.name, secret.Reveal(), environ[v.name])
		}
		for how, text := range renderings(t, secret) {
			if strings.Contains(text, marker) || !strings.Contains(text, redacted) {
				t.Errorf("%s printed with %s is %q", v.name, how, text)
			}
		}
	}
	if found < 11 {
		t.Fatalf("only %d secrets were found", found)
	}
	for how, text := range renderings(t, c) {
		if strings.Contains(text, marker) {
			t.Errorf("the configuration printed with %s shows a secret: %s", how, text)
		}
	}
	printed := fmt.Sprint(c.Redacted())
	for _, want := range []string{
		"DATABASE_URL=postgres://lari:[redacted]@db:5432/lari?sslmode=require&password=[redacted]",
		"ALERTS_WEBHOOK_URL=https://hooks.example.com/[redacted]?token=[redacted]",
		"OPENAI_API_KEY=[redacted]", "LARI_BODY_LIMIT=1MiB", "LARI_LOG_LEVEL=info",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("the printed configuration lacks %q:\n%s", want, printed)
		}
	}
}

// renderings are the ways in which a value may reach a log or a response.
func renderings(t *testing.T, value any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out[verb] = fmt.Sprintf(verb, value)
	}
	pointer := reflect.New(reflect.TypeOf(value))
	pointer.Elem().Set(reflect.ValueOf(value))
	out["pointer"] = fmt.Sprintf("%+v", pointer.Interface())
	out["error"] = fmt.Errorf("wrapped: %v", value).Error()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out["json"] = string(encoded)
	var buffer bytes.Buffer
	slog.New(slog.NewJSONHandler(&buffer, nil)).Info("x", slog.Any("value", value))
	out["slog json"] = buffer.String()
	buffer.Reset()
	slog.New(slog.NewTextHandler(&buffer, nil)).Info("x", slog.Any("value", value))
	out["slog text"] = buffer.String()
	return out
}

func TestSecretsNeverReachErrors(t *testing.T) {
	t.Parallel()
	for name := range hidden(t) {
		for _, wrong := range []string{marker + "\x00", "mysql://" + marker + ":" + marker + "@h/d", "postgres://u:" + marker + "/@h:99999/d"} {
			if _, err := Load(map[string]string{name: wrong}); err != nil && strings.Contains(err.Error(), marker) {
				t.Errorf("%s: the error shows the value: %v", name, err)
			}
		}
	}
	if err := refusal(t, map[string]string{"OPENAI_BASE_URL": "https://u:" + marker + "@h"}); strings.Contains(err.Error(), marker) {
		t.Errorf("the error shows the password in a base URL: %v", err)
	}
}

func TestEmptySecretPrintsNothing(t *testing.T) {
	t.Parallel()
	for _, empty := range []any{Secret{}, NewSecret(""), URL{}, NewURL("")} {
		if got := fmt.Sprintf("%v%#v%s", empty, empty, empty); got != "" {
			t.Errorf("an empty %T prints %q", empty, got)
		}
	}
}

func TestURLPrintsWithoutCredentials(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"postgres://u@h/d":              "postgres://u@h/d",
		"postgres://u:p%40w@[::1]:1/d":  "postgres://u:[redacted]@[::1]:1/d",
		"postgres:///d?host=/run&k=v":   "postgres:///d?host=/run&k=[redacted]",
		"https://h":                     "https://h",
		"https://h/":                    "https://h/",
		"https://h/a/b?sslmode=x&y":     "https://h/[redacted]?sslmode=x&y=[redacted]",
		"mailto:somebody@example.com":   "[redacted]",
		"postgres://u:p/w@h:notaport/d": "[redacted]",
	} {
		if got := NewURL(raw).String(); got != want {
			t.Errorf("%s prints as %s, want %s", raw, got, want)
		}
	}
}
