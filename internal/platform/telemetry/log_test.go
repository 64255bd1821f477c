package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/larirun/lari/internal/platform/scope"
	"github.com/larirun/lari/internal/platform/tracing"
)

func decode(t *testing.T, line []byte) map[string]any {
	t.Helper()
	if n := bytes.Count(line, []byte("\n")); n != 1 {
		t.Fatalf("%d lines were logged:\n%s", n, line)
	}
	var out map[string]any
	if err := json.Unmarshal(line, &out); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return out
}

func TestLogCarriesTheScope(t *testing.T) {
	t.Parallel()
	tenant := uuid.MustParse("0190a0b0-0000-7000-8000-000000000001")
	ctx := scope.With(t.Context(), scope.Scope{Tenant: tenant, RequestID: "req-1"})
	for name, write := range map[string]func(*slog.Logger){
		"plain":           func(l *slog.Logger) { l.InfoContext(ctx, "m") },
		"with attributes": func(l *slog.Logger) { l.With("a", 1).InfoContext(ctx, "m", "b", 2) },
		"in a group":      func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "m", "b", 2) },
		"deep in groups": func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").InfoContext(ctx, "m", "c", 3)
		},
		"said by record":    func(l *slog.Logger) { l.InfoContext(ctx, "m", "tenant_id", tenant.String(), "request_id", "req-1") },
		"said by logger":    func(l *slog.Logger) { l.With("tenant_id", tenant.String()).InfoContext(ctx, "m") },
		"logger then group": func(l *slog.Logger) { l.With("request_id", "req-1").WithGroup("g").InfoContext(ctx, "m", "b", 2) },
		"empty group":       func(l *slog.Logger) { l.WithGroup("").With().InfoContext(ctx, "m") },
	} {
		var buffer bytes.Buffer
		write(NewLogger(&buffer, slog.LevelInfo, "json"))
		line := decode(t, buffer.Bytes())
		if line["tenant_id"] != tenant.String() || line["request_id"] != "req-1" {
			t.Errorf("%s: %s", name, buffer.String())
		}
		if strings.Count(buffer.String(), "tenant_id") != 1 || strings.Count(buffer.String(), "request_id") != 1 {
			t.Errorf("%s: a key stands twice: %s", name, buffer.String())
		}
	}

	var buffer bytes.Buffer
	log := NewLogger(&buffer, slog.LevelInfo, "json").WithGroup("g")
	log.InfoContext(ctx, "m", "b", 2)
	if group, ok := decode(t, buffer.Bytes())["g"].(map[string]any); !ok || len(group) != 1 || group["b"] != 2.0 {
		t.Errorf("the group lost its own: %s", buffer.String())
	}
	buffer.Reset()
	log.DebugContext(ctx, "m")
	NewLogger(&buffer, slog.LevelInfo, "json").Info("m") // no scope
	if line := decode(t, buffer.Bytes()); len(line) != 3 {
		t.Errorf("logged %s", buffer.String())
	}
}

func TestLogCarriesRunAndTrace(t *testing.T) {
	t.Parallel()
	run := uuid.MustParse("0190a0b0-0000-7000-8000-000000000002")
	ctx := scope.With(t.Context(), scope.Scope{Tenant: uuid.New(), Run: run, RequestID: "req-1"})
	ctx = trace.ContextWithRemoteSpanContext(ctx, tracing.Extract("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", ""))
	for name, write := range map[string]func(*slog.Logger){
		"plain":          func(l *slog.Logger) { l.InfoContext(ctx, "m") },
		"in a group":     func(l *slog.Logger) { l.WithGroup("g").InfoContext(ctx, "m", "b", 2) },
		"said by record": func(l *slog.Logger) { l.InfoContext(ctx, "m", "run_id", run) },
	} {
		var buffer bytes.Buffer
		write(NewLogger(&buffer, slog.LevelInfo, "json"))
		line := decode(t, buffer.Bytes())
		if line["run_id"] != run.String() || line["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" || line["span_id"] != "00f067aa0ba902b7" ||
			strings.Count(buffer.String(), "run_id") != 1 {
			t.Errorf("%s: %s", name, buffer.String())
		}
	}
}

// What the SDK logs of our workflows says whose they are, and not what a model provider answered.
func TestTheSDKsLinesAreInOurWords(t *testing.T) {
	t.Parallel()
	const tenant, run = "0190a0b0-0000-7000-8000-000000000001", "0190a0b0-0000-7000-8000-000000000002"
	var buffer bytes.Buffer
	log := TemporalLogger(NewLogger(&buffer, slog.LevelDebug, "json"))
	log.Debug("m", "WorkflowID", tenant+"/run/"+run)
	log.(interface{ With(...any) sdklog.Logger }).With("WorkflowID", tenant+"/delivery/"+run+"/3/webhook").Debug("m", "WorkflowID", tenant+"/run/"+run)
	for line := range strings.Lines(buffer.String()) {
		if l := decode(t, []byte(line)); l["tenant_id"] != tenant || l["run_id"] != run || strings.Count(line, "tenant_id") != 1 {
			t.Errorf("logged %s", line)
		}
	}
	buffer.Reset()
	log.Debug("m", "WorkflowID", "reconcile")
	log.Error("m", "Error", temporal.NewApplicationError(needle, "model:overloaded"))
	if strings.Contains(buffer.String(), needle) || strings.Contains(buffer.String(), "tenant_id") || !strings.Contains(buffer.String(), "model:overloaded") {
		t.Errorf("logged %s", buffer.String())
	}
}

const needle = "s3cr3tneedle"

// secrets are ways in which a secret may be written; each holds the needle.
func secrets() map[string]string {
	return map[string]string{
		"API key":               "key lari_abcdefghij12_" + needle + "0123456789012345678901234567890123",
		"bearer token":          "sent Authorization: Bearer " + needle,
		"bearer, small":         "got bearer  " + needle,
		"basic":                 "authorization: Basic " + needle,
		"JWT":                   "token eyJhbGciOiJIUzI1NiJ9." + needle + "." + needle,
		"DSN":                   "cannot reach postgres://lari:" + needle + "@db:5432/lari",
		"DSN with a slash":      `parse "postgres://lari:pa/` + needle + `@db:5432/lari": invalid port`,
		"DSN, other scheme":     "proxy http://user:" + needle + "@proxy:3128 refused",
		"DSN, keywords":         "host=db user=lari password=" + needle + " dbname=lari",
		"DSN, quoted keyword":   "host=db password='two " + needle + "' dbname=lari",
		"webhook secret":        "signed with whsec_" + needle + "==",
		"OpenAI key":            "Incorrect API key provided: sk-proj-" + needle,
		"environment":           "OPENAI_API_KEY=" + needle,
		"query":                 "GET https://h/hook?a=b&token=" + needle + "&c=d",
		"JSON":                  `body {"user":"u","password":"` + needle + `"}`,
		"JSON, escaped quotes":  `body {"client_secret":"a\"` + needle + `"}`,
		"JSON in JSON":          `body "{\"password\":\"` + needle + `\"}"`,
		"JSON in a text":        `body {\"password\":\"` + needle + `\"}`,
		"JSON list in a text":   `headers {\"Authorization\":[\"Basic ` + needle + `\"]}`,
		"JSON list":             `headers {"Authorization":["Basic ` + needle + `"]}`,
		"private key":           "-----BEGIN EC PRIVATE KEY-----\n" + needle + "\n-----END EC PRIVATE KEY-----",
		"private key, cut":      "-----BEGIN PRIVATE KEY-----\n" + needle,
		"YAML":                  "password: " + needle,
		"two of one kind":       "sk-aaaaaaaa" + needle + " and sk-bbbbbbbb" + needle,
		"header dump, %v":       "map[Authorization:[Basic " + needle + "] Accept:[*/*]]",
		"struct dump, %+v":      "{User:u Password:" + needle + "}",
		"api key, spelt apart":  "api-key=" + needle,
		"password with a comma": `{"password":"a,b ` + needle + `"}`,
	}
}

func TestLogRedactsTexts(t *testing.T) {
	t.Parallel()
	for name, text := range secrets() {
		for _, format := range []string{"json", "text"} {
			var buffer bytes.Buffer
			log := NewLogger(&buffer, slog.LevelInfo, format)
			log.Info(text)
			log.Info("m", "detail", text)
			log.With("detail", text).Info("m")
			log.WithGroup("g").Info("m", slog.Group("h", "detail", text))
			log.Info("m", "error", fmt.Errorf("wrapped: %w", errors.New(text)))
			log.Info("m", "value", map[string]any{"detail": text})
			log.Info("m", "value", struct{ Detail string }{text})
			log.Info("m", "value", []byte(text))
			for line := range strings.Lines(buffer.String()) {
				if strings.Contains(line, needle) || !strings.Contains(line, redacted) {
					t.Errorf("%s as %s: %s", name, format, line)
				}
			}
			if n := strings.Count(buffer.String(), "\n"); n != 8 {
				t.Errorf("%s as %s: %d lines", name, format, n)
			}
		}
	}
}

type lazy struct{ value string }

func (l lazy) LogValue() slog.Value { return slog.StringValue(l.value) }

func TestLogRedactsNames(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"authorization", "Authorization", "Proxy-Authorization", "password", "db_password", "secret", "jwt_secret", "JWTSecret",
		"api_key", "x-api-key", "OPENAI_API_KEY", "apiKey", "access_token", "refresh-token", "token", "cookie", "Set-Cookie",
		"private_key", "dsn", "credentials",
	} {
		var buffer bytes.Buffer
		log := NewLogger(&buffer, slog.LevelInfo, "json")
		log.Info("m", key, needle)
		log.Info("m", slog.Group("g", key, lazy{needle}))
		log.With(key, []string{needle}).Info("m")
		log.Info("m", "headers", http.Header{key: {needle}})
		for line := range strings.Lines(buffer.String()) {
			if strings.Contains(line, needle) {
				t.Errorf("%s: %s", key, line)
			}
		}
	}
}

// What is no secret is left alone, byte for byte.
func TestLogKeepsTheRest(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"lari_http_request_duration_seconds is slow", "role lari_writer is missing", "task-queue agents-v1", "sk-",
		"connect to postgres://lari@db:5432/lari", "http://127.0.0.1:8080/v1/runs?email=a@b.example", "bearer of news",
		"SUPABASE_JWT_SECRET must be at least 32 bytes long", "the API key is mistyped", "tokens: 5", "primary key violated",
		"postgres://lari:[redacted]@db:5432/lari?sslmode=require", "password=[redacted]", "violates constraint pk_agents_id",
	} {
		if got := redactText(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	var buffer bytes.Buffer
	log := NewLogger(&buffer, slog.LevelInfo, "json")
	log.Info("m", "input_tokens", 5, "token", 7, "idempotency_key", "k", "value", map[string]int{"a": 1}, "password", "", "list", []string{"x"})
	line := decode(t, buffer.Bytes())
	if line["input_tokens"] != 5.0 || line["token"] != 7.0 || line["idempotency_key"] != "k" || line["password"] != "" ||
		fmt.Sprint(line["value"]) != "map[a:1]" || fmt.Sprint(line["list"]) != "[x]" {
		t.Errorf("logged %s", buffer.String())
	}
	for name, text := range secrets() {
		once := redactText(text)
		if twice := redactText(once); twice != once {
			t.Errorf("%s: redacting again makes %q of %q", name, twice, once)
		}
	}
}

func TestLogFormats(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	NewLogger(&buffer, slog.LevelWarn, "text").Warn("hello there", "a", 1)
	if !strings.Contains(buffer.String(), `level=WARN msg="hello there" a=1`) {
		t.Errorf("text: %s", buffer.String())
	}
	buffer.Reset()
	var level slog.LevelVar
	log := NewLogger(&buffer, &level, "json")
	log.Debug("m")
	level.Set(slog.LevelDebug)
	log.Debug("m")
	if line := decode(t, buffer.Bytes()); line["level"] != "DEBUG" {
		t.Errorf("logged %s", buffer.String())
	}
}

func BenchmarkLog(b *testing.B) {
	var buffer bytes.Buffer
	log := NewLogger(&buffer, slog.LevelInfo, "json")
	b.ReportAllocs()
	for b.Loop() {
		buffer.Reset()
		log.Info("run finished", "run_id", "0190a0b0-0000-7000-8000-000000000001", "status", "completed", "took", 12)
	}
}
