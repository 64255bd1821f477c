package config

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/llm"
)

// refusal loads and demands a fault.Invalid.
func refusal(t *testing.T, environ map[string]string) *fault.Error {
	t.Helper()
	_, err := Load(environ)
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Code != fault.Invalid {
		t.Fatalf("Load(%v) = %v, want a validation failure", environ, err)
	}
	return refused
}

func load(t *testing.T, environ map[string]string) Config {
	t.Helper()
	c, err := Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	c := load(t, nil)
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"Env", c.Env, Production},
		{"HTTPAddr", c.HTTPAddr, "127.0.0.1:8080"},
		{"AdminAddr", c.AdminAddr, "127.0.0.1:9464"},
		{"DataDir", c.DataDir, ".lari"},
		{"Pooled", c.Pooled(), false},
		{"Namespace", c.Temporal.Namespace, "default"},
		{"Encrypted", c.Temporal.Encrypted(), false},
		{"JWKSURL", c.Auth.JWKSURL, ""},
		{"Audience", c.Auth.Audience, "authenticated"},
		{"EgressAllow", len(c.EgressAllow), 0},
		{"OpenAIModel", c.Models.OpenAIModel, "gpt-4.1-mini"},
		{"DefaultModel", c.Models.DefaultModel, llm.DefaultModel},
		{"BuiltinTokensPerSecond", c.Models.BuiltinTokensPerSecond, 40},
		{"Level", c.Log.Level, slog.LevelInfo},
		{"Format", c.Log.Format, LogJSON},
		{"BodyBytes", c.Limits.BodyBytes, Bytes(1 << 20)},
		{"ConcurrentActivities", c.Worker.ConcurrentActivities, 200},
		{"Metrics.MaxTenants", c.Metrics.MaxTenants, 1000},
		{"Metrics.MaxSeries", c.Metrics.MaxSeries, 100_000},
		{"Metrics.Window", c.Metrics.Window, 5 * time.Minute},
		{"Metrics.Native", c.Metrics.Native, false},
		{"Metrics.Public", c.Metrics.Public, false},
	} {
		if check.got != check.want {
			t.Errorf("%s = %v, want %v", check.name, check.got, check.want)
		}
	}
	for _, model := range []string{c.Models.OpenAIModel, c.Models.AnthropicModel} {
		if _, priced := c.Models.Prices.Cost(model, llm.Usage{}); !priced {
			t.Errorf("the default model %s has no price", model)
		}
	}
}

func TestLoadReads(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{ //nolint:gosec // G101: no real password
		"LARI_ENV": "Development", "LARI_HTTP_ADDR": ":9000", "LARI_ADMIN_ADDR": "",
		"DATABASE_URL": "postgres://u:p@pooler:6543/db", "DATABASE_DIRECT_URL": "postgres://u:p@db:5432/db",
		"LARI_DATABASE_MAX_CONNS": "32", "TEMPORAL_ADDRESS": "temporal:7233", "TEMPORAL_API_KEY": " key\n",
		"SUPABASE_URL": "https://x.supabase.co/", "LARI_JWT_ISSUER": "https://issuer",
		"ALERTS_WEBHOOK_URL": "http://127.0.0.1:1/hook", "LARI_EGRESS_ALLOW": "127.0.0.0/8, ::1/128",
		"LARI_EGRESS_ALLOW_HTTP": "1", "LARI_MODEL_PRICES": `{"house-model": {"input": "1", "output": 2}}`,
		"LARI_LOG_LEVEL": "DEBUG", "LARI_LOG_FORMAT": "text", "LARI_BODY_LIMIT": "512KiB",
		"LARI_REQUEST_TIMEOUT": "90s", "LARI_TEST_ANYTHING": "is not ours", "PATH": "/bin", "LARI_DATA_DIR": "  ",
	})
	house, priced := c.Models.Prices["house-model"]
	for _, check := range []struct {
		name      string
		got, want any
	}{
		{"Env", c.Env, Development},
		{"HTTPAddr", c.HTTPAddr, ":9000"},
		{"AdminAddr", c.AdminAddr, ""},
		{"DataDir of white space", c.DataDir, ".lari"},
		{"DatabaseURL", c.DatabaseURL.Reveal(), "postgres://u:p@pooler:6543/db"},
		{"DatabaseDirectURL", c.DatabaseDirectURL.Reveal(), "postgres://u:p@db:5432/db"},
		{"Pooled", c.Pooled(), true},
		{"DatabaseMaxConns", c.DatabaseMaxConns, int32(32)},
		{"APIKey", c.Temporal.APIKey.Reveal(), "key"},
		{"Encrypted", c.Temporal.Encrypted(), true},
		{"JWKSURL", c.Auth.JWKSURL, "https://x.supabase.co/auth/v1/.well-known/jwks.json"},
		{"Issuer", c.Auth.Issuer, "https://issuer"},
		{"AlertsWebhookURL", c.AlertsWebhookURL.Reveal(), "http://127.0.0.1:1/hook"},
		{"EgressAllow", slices.Equal(c.EgressAllow, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}), true},
		{"EgressAllowHTTP", c.EgressAllowHTTP, true},
		{"price", priced && house.Output.String() == "2", true},
		{"Level", c.Log.Level, slog.LevelDebug},
		{"Format", c.Log.Format, LogText},
		{"BodyBytes", c.Limits.BodyBytes, Bytes(512 << 10)},
		{"RequestTimeout", c.Limits.RequestTimeout, 90 * time.Second},
	} {
		if check.got != check.want {
			t.Errorf("%s = %v, want %v", check.name, check.got, check.want)
		}
	}
	if load(t, map[string]string{"LARI_ADMIN_ADDR": "off"}).AdminAddr != "" {
		t.Error("LARI_ADMIN_ADDR=off does not turn the admin port off")
	}
	direct := load(t, map[string]string{"DATABASE_URL": "postgres:///db?host=/run/postgresql"})
	if direct.Pooled() || direct.DatabaseDirectURL != direct.DatabaseURL {
		t.Error("one DATABASE_URL must serve as the session connection too")
	}
	if got := load(t, map[string]string{"SUPABASE_URL": "https://x"}).Auth.Issuer; got != "https://x/auth/v1" {
		t.Errorf("the issuer defaults to %q", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	whsec := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, c := range []struct{ name, value, want string }{
		{"LARI_ENV", "staging", `is "staging" but must be production or development`},
		{"LARI_HTTP_ADDR", "8080", "must be host:port"},
		{"LARI_HTTP_ADDR", "127.0.0.1:70000", "port number up to 65535"},
		{"LARI_HTTP_ADDR", "http://127.0.0.1:80", "must be host:port"},
		{"LARI_ADMIN_ADDR", "none", "must be host:port"},
		{"LARI_ADMIN_ADDR", "127.0.0.1:8080", "must differ from LARI_HTTP_ADDR"},
		{"DATABASE_URL", "mysql://u:p@h/d", "must be a URL such as postgres://"},
		{"DATABASE_URL", "host=h password=p", "must be a URL such as postgres://"},
		{"DATABASE_URL", "postgres://u:p/w@h/d", "percent-encoded"},
		{"DATABASE_URL", "postgres:///d", "must be a URL such as postgres://"},
		{"DATABASE_DIRECT_URL", "postgres://h:0/d", "port from 1 to 65535"},
		{"LARI_DATABASE_MAX_CONNS", "1", "must be a whole number from 2 to 10000"},
		{"LARI_DATABASE_MAX_CONNS", "many", `is "many" but must be a whole number`},
		{"LARI_DATABASE_MAX_CONNS", "99999999999", "must be a whole number"},
		{"TEMPORAL_ADDRESS", "temporal", "must be host:port"},
		{"TEMPORAL_ADDRESS", ":7233", "must be host:port"},
		{"TEMPORAL_API_KEY", "two words", "must not hold spaces"},
		{"TEMPORAL_TLS", "yes", "must be true or false"},
		{"TEMPORAL_TLS_CLIENT_KEY_DATA", "secret", "must be PEM text"},
		{"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "2", "must be true or false"},
		{"LARI_TEMPORAL_UI_URL", "localhost:8233", "begins with https:// or http://"},
		{"SUPABASE_URL", "https://", "names a host"},
		{"SUPABASE_URL", "https://x:99999", "port from 1 to 65535"},
		{"SUPABASE_JWT_SECRET", "short", "must be at least 32 bytes long"},
		{"LARI_JWKS_URL", "https://u:p@h/jwks", "must not hold a user name or a password"},
		{"LARI_JWKS_URL", "https://h/#keys", "must not hold a fragment"},
		{"ALERTS_WEBHOOK_URL", "http://h/hook", "must begin with https:// (or set LARI_EGRESS_ALLOW_HTTP=true)"},
		{"ALERTS_WEBHOOK_URL", "ftp://h/hook", "begins with https:// or http://"},
		{"LARI_ALERTS_WEBHOOK_SECRET", "c2VjcmV0", "must begin with whsec_"},
		{"LARI_ALERTS_WEBHOOK_SECRET", whsec(23), "24 to 64 random bytes"},
		{"LARI_ALERTS_WEBHOOK_SECRET", whsec(65), "24 to 64 random bytes"},
		{"LARI_EGRESS_ALLOW", "10.0.0.1", "write 10.0.0.1/32"},
		{"LARI_EGRESS_ALLOW", "10.0.0.1/8", "without host bits: 10.0.0.0/8"},
		{"LARI_EGRESS_ALLOW", "::ffff:10.0.0.0/104", "IPv4 networks as IPv4"},
		{"LARI_EGRESS_ALLOW", "10.0.0.0/8,,::1/128", `"" is not one`},
		{"LARI_EGRESS_ALLOW_HTTP", "on", "must be true or false"},
		{"OPENAI_BASE_URL", "api.openai.com/v1", "begins with https:// or http://"},
		{"LARI_BUILTIN_TOKENS_PER_SECOND", "0", "from 1 to 100000"},
		{"LARI_MODEL_PRICES", `{"m": {"input": "1"}}`, "needs an input and an output price"},
		{"LARI_MODEL_PRICES", `[]`, "must be JSON such as"},
		{"LARI_LOG_LEVEL", "loud", "must be debug, info, warn or error"},
		{"LARI_LOG_FORMAT", "xml", "must be json or text"},
		{"LARI_METRICS_MAX_TENANTS", "-1", "from 1 to 100000"},
		{"LARI_METRICS_MAX_SERIES", "10", "from 1000 to 10000000"},
		{"LARI_METRICS_WINDOW", "1s", "20s"},
		{"LARI_METRICS_PUBLIC", "true", "must be false unless LARI_ENV is development"},
		{"LARI_BODY_LIMIT", "1MB", "KiB, MiB or GiB"},
		{"LARI_BODY_LIMIT", "2GiB", "must be from 1KiB to 1GiB"},
		{"LARI_BODY_LIMIT", "9223372036854775807GiB", "must be less than"},
		{"LARI_REQUEST_TIMEOUT", "30", "a duration with a unit"},
		{"LARI_REQUEST_TIMEOUT", "1h", "must be from 1s to 10m"},
		{"LARI_WORKER_WORKFLOW_TASKS", "1", "from 2 to 10000"},
		{"LARI_HTTP_ADDRESS", "x", "is not a variable of Lari (did you mean LARI_HTTP_ADDR?)"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			t.Parallel()
			refused := refusal(t, map[string]string{c.name: c.value})
			if len(refused.Fields) != 1 || refused.Fields[0].Field != c.name {
				t.Fatalf("fields = %+v, want only %s", refused.Fields, c.name)
			}
			if !strings.Contains(refused.Detail, c.name+" ") || !strings.Contains(refused.Detail, c.want) {
				t.Errorf("detail = %q, want it to name %s and to say %q", refused.Detail, c.name, c.want)
			}
		})
	}
}

func TestLoadAcceptsWebhookOverHTTP(t *testing.T) {
	t.Parallel()
	for _, permit := range []string{"LARI_ENV=development", "LARI_EGRESS_ALLOW_HTTP=true"} {
		environ := Environ([]string{permit, "ALERTS_WEBHOOK_URL=http://127.0.0.1:1/hook?a=b"})
		if got := load(t, environ).AlertsWebhookURL.Reveal(); got != "http://127.0.0.1:1/hook?a=b" {
			t.Errorf("with %s the webhook is %q", permit, got)
		}
	}
}

// Every variable at once: whatever its kind, a control character is refused and the variable named.
func TestMetricsMayBePublicInDevelopment(t *testing.T) {
	t.Parallel()
	c := load(t, Environ([]string{"LARI_ENV=development", "LARI_METRICS_PUBLIC=true"}))
	if !c.Metrics.Public {
		t.Error("they are not")
	}
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"LARI_UNKNOWN_THING": "x"}
	want := []string{"LARI_UNKNOWN_THING"}
	for _, v := range variables(&Config{}) {
		environ[v.name] = "a\x00b"
		want = append(want, v.name)
	}
	refused := refusal(t, environ)
	var got []string
	for _, f := range refused.Fields {
		got = append(got, f.Field)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
	if lines := strings.Count(refused.Detail, "\n"); lines != len(want) {
		t.Errorf("the error has %d lines for %d problems:\n%s", lines, len(want), refused.Detail)
	}
}

func TestVariablesAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range variables(&Config{}) {
		if seen[v.name] || v.doc == "" {
			t.Errorf("%s is declared twice or has no documentation", v.name)
		}
		seen[v.name] = true
		if v.rule != "" {
			if err := matches(v.rule, "x"); err != nil && strings.Contains(err.Error(), "unknown rule") {
				t.Errorf("%s: %v", v.name, err)
			}
		}
	}
	if len(seen) < 45 {
		t.Errorf("only %d variables were found", len(seen))
	}
}

func TestBytesRoundTrip(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "1", "1023", "1KiB", "3MiB", "1GiB", "1025"} {
		b, err := parseBytes(text)
		if err != nil || b.String() != text {
			t.Errorf("%s is read as %v (%v)", text, b, err)
		}
	}
	if b, err := parseBytes("2048 KiB"); err != nil || b.String() != "2MiB" {
		t.Errorf("2048 KiB is read as %v (%v)", b, err)
	}
}
