// Package config reads the process's configuration from environment variables and from nowhere else.
// Every variable is a field of Config: its tags give name, default, limits and documentation, and
// loading, printing, the reference page and the suggestions for misspelt names all range over them.
//
// Tags: env (name), default, rule (what a text must look like), min and max (inclusive), doc (for the
// reference page), section (a heading of that page, from this field on), empty:"none" (an empty value
// means "none" and not "the default").
package config

import (
	"cmp"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/tracing"
)

// Config is the whole configuration of a process. Load fills it.
type Config struct {
	Env            Environment    `section:"Process" env:"LARI_ENV" default:"production" doc:"production or development; development allows http:// for the alerts webhook"`
	HTTPAddr       string         `env:"LARI_HTTP_ADDR" default:"127.0.0.1:8080" rule:"listen" doc:"where the API listens, host:port"`
	AdminAddr      string         `env:"LARI_ADMIN_ADDR" default:"127.0.0.1:9464" rule:"admin" empty:"none" doc:"where metrics, profiles and probes are served, host:port; it has no authentication; empty or off: nowhere"`
	TrustedProxies []netip.Prefix `env:"LARI_TRUSTED_PROXIES" doc:"networks of the proxies before the API whose X-Forwarded-For is believed: CIDRs, separated by commas; none: a client's address is that of its connection"`
	CORSOrigins    Origins        `env:"LARI_CORS_ORIGINS" doc:"origins of the web pages that may call the API from a browser, such as https://app.example.com,http://localhost:5173; exact, separated by commas; none: none may"`
	HSTS           time.Duration  `env:"LARI_HSTS_MAX_AGE" default:"0s" min:"0s" max:"17520h" doc:"for an API behind TLS: how long browsers use nothing but TLS for its host (Strict-Transport-Security), such as 8760h; 0s: they are not told"`

	DataDir   string `env:"LARI_DATA_DIR" default:".lari" rule:"text" doc:"folder for the state of lari dev"`
	ExportDir string `env:"LARI_EXPORT_DIR" rule:"text" doc:"folder for the exports of tenants that are deleted; the same one, shared, for all workers; default: exports below LARI_DATA_DIR"`
	CacheDir  string `env:"LARI_CACHE_DIR" rule:"text" doc:"folder for what lari dev downloads and builds once; default: the system's cache folder"`

	DatabaseURL       URL   `section:"Postgres" env:"DATABASE_URL" rule:"postgres" doc:"postgres://user:password@host:port/database; may lead through a transaction pooler"`
	DatabaseDirectURL URL   `env:"DATABASE_DIRECT_URL" rule:"postgres" doc:"session connection for LISTEN and migrations; default: DATABASE_URL, which then must not lead through a transaction pooler"`
	DatabaseMaxConns  int32 `env:"LARI_DATABASE_MAX_CONNS" default:"16" min:"2" max:"10000" doc:"connections of one process"`

	Temporal Temporal `section:"Temporal"`
	Auth     Auth     `section:"Authentication"`

	AlertsWebhookURL    URL            `section:"Webhooks and outgoing requests" env:"ALERTS_WEBHOOK_URL" rule:"webhook" doc:"receives run_completed and run_error of every tenant; https:// unless in development or with LARI_EGRESS_ALLOW_HTTP"`
	AlertsWebhookSecret Secret         `env:"LARI_ALERTS_WEBHOOK_SECRET" rule:"whsec" doc:"signs those deliveries (Standard Webhooks): whsec_ and the base64 of 24 to 64 bytes"`
	EgressAllow         []netip.Prefix `env:"LARI_EGRESS_ALLOW" doc:"private networks that webhooks and tools may reach: CIDRs, separated by commas"`
	EgressAllowHTTP     bool           `env:"LARI_EGRESS_ALLOW_HTTP" default:"false" doc:"allow http:// destinations to webhooks and tools"`

	Models Models `section:"Models"`
	Log    Log    `section:"Logs and metrics"`

	Metrics   Metrics
	DogStatsD DogStatsD

	Traces Traces `section:"Traces"`

	Audit Audit `section:"Audit log"`

	Reconcile Reconcile `section:"Runs that their workflow cannot end"`

	Schedules Schedules `section:"Schedules"`

	Limits   Limits   `section:"Limits"`
	Defaults Defaults `section:"Limits of a tenant"`
	Worker   Worker   `section:"Worker"`
}

// Auth says whose tokens are accepted.
type Auth struct {
	SupabaseURL string `env:"SUPABASE_URL" rule:"http" doc:"the Supabase project; gives the defaults of LARI_JWKS_URL and LARI_JWT_ISSUER"`
	JWTSecret   Secret `env:"SUPABASE_JWT_SECRET" rule:"hs256" doc:"the project's HS256 secret, 32 bytes or more"`
	JWKSURL     string `env:"LARI_JWKS_URL" rule:"http" doc:"the issuer's public keys; default: SUPABASE_URL/auth/v1/.well-known/jwks.json"`
	Issuer      string `env:"LARI_JWT_ISSUER" rule:"text" doc:"the iss claim that is demanded; default: SUPABASE_URL/auth/v1"`
	Audience    string `env:"LARI_JWT_AUDIENCE" default:"authenticated" rule:"text" doc:"the aud claim that is demanded"`
	// FailuresPerMinute: 0 is no limit.
	FailuresPerMinute int `env:"LARI_AUTH_FAILURES_PER_MINUTE" default:"120" min:"0" max:"1000000" doc:"failed authentications of one address (an IPv6 /64) in each API process before it is answered with 429; 0: no limit. Behind proxies set LARI_TRUSTED_PROXIES: without it all clients of a proxy are one address"`
}

// Models says which language models answer. Without a key only the built-in one does.
type Models struct {
	OpenAIKey              Secret         `env:"OPENAI_API_KEY" rule:"token" doc:"key of OpenAI or of a compatible server"`
	OpenAIBaseURL          string         `env:"OPENAI_BASE_URL" rule:"http" doc:"any OpenAI-compatible server; default: OpenAI's own"`
	OpenAIModel            string         `env:"LARI_OPENAI_MODEL" default:"gpt-4.1-mini" rule:"text" doc:"the model when an agent names only the provider"`
	AnthropicKey           Secret         `env:"ANTHROPIC_API_KEY" rule:"token" doc:"key of Anthropic"`
	AnthropicBaseURL       string         `env:"ANTHROPIC_BASE_URL" rule:"http" doc:"default: Anthropic's own"`
	AnthropicModel         string         `env:"LARI_ANTHROPIC_MODEL" default:"claude-sonnet-5" rule:"text" doc:"the model when an agent names only the provider"`
	DefaultModel           string         `env:"LARI_DEFAULT_MODEL" default:"default" rule:"text" doc:"what default stands for: provider/model; default itself: the first of openai and anthropic that has a key, else the built-in one"`
	BuiltinTokensPerSecond int            `env:"LARI_BUILTIN_TOKENS_PER_SECOND" default:"40" min:"1" max:"100000" doc:"how fast the built-in model streams"`
	Prices                 llm.PriceTable `env:"LARI_MODEL_PRICES" default:"{}" doc:"JSON laid over the built-in price list, dollars per million tokens: {\"model\": {\"input\": \"0.40\", \"output\": \"1.60\", \"cached_input\": \"0.10\", \"cache_write\": \"0.50\"}}; the last two default to input"`
}

// Log says what is logged and how.
type Log struct {
	Level  slog.Level `env:"LARI_LOG_LEVEL" default:"info" doc:"debug, info, warn or error"`
	Format LogFormat  `env:"LARI_LOG_FORMAT" default:"json" doc:"json or text"`
}

// Traces says where spans are sent and which are kept, in OpenTelemetry's own variables. The exporter reads
// those that are not here itself (OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and _TIMEOUT,
// OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_*).
type Traces struct {
	Endpoint URL             `env:"OTEL_EXPORTER_OTLP_ENDPOINT" rule:"webhook" doc:"collector to which traces are sent as OTLP over HTTP, such as http://localhost:4318; unset: none are made"`
	Protocol string          `env:"OTEL_EXPORTER_OTLP_PROTOCOL" default:"http/protobuf" rule:"otlp" doc:"http/protobuf is the only one that there is"`
	Service  string          `env:"OTEL_SERVICE_NAME" default:"lari" rule:"text" doc:"service.name of the spans"`
	Sampler  tracing.Sampler `env:"OTEL_TRACES_SAMPLER" default:"parentbased_always_on" doc:"which traces are kept: always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio; those that are parentbased follow the caller where it has decided"`
	Ratio    float64         `env:"OTEL_TRACES_SAMPLER_ARG" default:"1" min:"0" max:"1" doc:"the share that the samplers with a ratio keep"`
	Reads    float64         `env:"LARI_TRACES_READ_RATIO" default:"0.05" min:"0" max:"1" doc:"of the traces that the sampler keeps, the share of those that begin with a request that only reads (GET, HEAD): they are many and alike. What a parentbased sampler has decided by the caller stays, and always_on keeps all"`
}

// Metrics says what is measured, and who may see it at /v1/analytics/prometheus.
type Metrics struct {
	On            bool          `env:"LARI_METRICS" default:"true" doc:"measure; false: requests are not metered, nothing is exported, and there are no quantiles. What the settings below cost is in docs/tuning.md"`
	MaxTenants    int           `env:"LARI_METRICS_MAX_TENANTS" default:"1000" min:"1" max:"100000" doc:"tenants with metric labels of their own; the others share _other. The last quarter goes to those that are active. The contract of series is in docs/metrics.md"`
	MaxSeries     int           `env:"LARI_METRICS_MAX_SERIES" default:"100000" min:"1000" max:"10000000" doc:"series that carry a tenant; beyond a fifth of it a tenant's routes share _other, beyond half of it runs of tenants that had none do"`
	Window        time.Duration `env:"LARI_METRICS_WINDOW" default:"5m" min:"20s" max:"1h" doc:"how far back the exported quantiles reach"`
	Native        bool          `env:"LARI_METRICS_NATIVE_HISTOGRAMS" default:"false" doc:"native histograms beside the classic buckets of requests, runs and models, for a Prometheus that scrapes them from the admin port; the exported quantiles are of them then"`
	NativeFactor  float64       `env:"LARI_METRICS_NATIVE_FACTOR" default:"1.1" min:"1.005" max:"4" doc:"how much wider than its predecessor a native bucket is at most"`
	NativeBuckets int           `env:"LARI_METRICS_NATIVE_BUCKETS" default:"100" min:"10" max:"1000" doc:"buckets of a native histogram above which they are made wider"`
	MaxModels     int           `env:"LARI_METRICS_MAX_MODELS" default:"100" min:"1" max:"10000" doc:"models with metric labels of their own"`
	MaxTools      int           `env:"LARI_METRICS_MAX_TOOLS" default:"200" min:"1" max:"10000" doc:"tools with metric labels of their own"`
	MaxActiveRuns int           `env:"LARI_METRICS_MAX_ACTIVE_RUNS" default:"2000" min:"0" max:"100000" doc:"runs in lari_runs_active that have a series of their own; the others are counted together"`
	Public        bool          `env:"LARI_METRICS_PUBLIC" default:"false" doc:"anybody may read every series at /v1/analytics/prometheus; in development only"`

	Buckets MetricsBuckets
}

// MetricsBuckets are the buckets of the histograms that may be tuned.
type MetricsBuckets struct {
	HTTP         Buckets `env:"LARI_METRICS_BUCKETS_HTTP" default:"0.001,0.0025,0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10" doc:"upper bounds of the buckets of both histograms of requests: seconds or durations, ascending, up to 40. +Inf is added, and so are the bounds with which the objectives of the alerts count (docs/tuning.md)"`
	RunDuration  Buckets `env:"LARI_METRICS_BUCKETS_RUN_DURATION" default:"0.1,0.25,0.5,1,2.5,5,10,30,60,300,900,3600,14400" doc:"the same of lari_run_duration_seconds"`
	QueueWait    Buckets `env:"LARI_METRICS_BUCKETS_RUN_QUEUE_WAIT" default:"0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,300" doc:"the same of lari_run_queue_wait_seconds"`
	FirstToken   Buckets `env:"LARI_METRICS_BUCKETS_RUN_FIRST_TOKEN" default:"0.05,0.1,0.25,0.5,1,2,3,5,10,30,60" doc:"the same of lari_run_time_to_first_token_seconds"`
	Cancel       Buckets `env:"LARI_METRICS_BUCKETS_RUN_CANCEL" default:"0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60" doc:"the same of lari_run_cancel_to_stopped_seconds"`
	ModelCall    Buckets `env:"LARI_METRICS_BUCKETS_MODEL_CALL" default:"0.05,0.1,0.25,0.5,1,2.5,5,10,20,30,60,120,300" doc:"the same of lari_model_call_duration_seconds"`
	ToolCall     Buckets `env:"LARI_METRICS_BUCKETS_TOOL_CALL" default:"0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60" doc:"the same of lari_tool_call_duration_seconds"`
	ConnectorLag Buckets `env:"LARI_METRICS_BUCKETS_CONNECTOR_LAG" default:"0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,60,300,3600,21600" doc:"the same of lari_connector_lag_seconds"`
	ScheduleLag  Buckets `env:"LARI_METRICS_BUCKETS_SCHEDULE_LAG" default:"0.1,0.25,0.5,1,2.5,5,10,30,60,300,900,3600" doc:"the same of lari_schedule_firing_lag_seconds"`
}

// Audit says where it is written down, outside of the database, how far the audit logs of tenants have come.
type Audit struct {
	SigningKey  Secret        `env:"LARI_AUDIT_SIGNING_KEY" rule:"hs256" doc:"makes the Ed25519 key that signs anchors and tombstones of audit logs; the same in all processes, 32 bytes or more; unset: nothing is signed or anchored"`
	AnchorFile  string        `env:"LARI_AUDIT_ANCHOR_FILE" rule:"text" doc:"file to which API processes append where each tenant's audit log stands, signed; GET /v1/audit-logs/verify holds logs against it. Keep it where nobody who reaches the database writes"`
	AnchorURL   URL           `env:"LARI_AUDIT_ANCHOR_URL" rule:"webhook" doc:"receiver of the same lines by POST"`
	AnchorEvery time.Duration `env:"LARI_AUDIT_ANCHOR_EVERY" default:"1h" min:"1s" max:"24h" doc:"how often"`
}

// Reconcile says how it is noticed that Temporal closed the workflow of a run.
type Reconcile struct {
	Every          time.Duration `env:"LARI_RECONCILE_EVERY" default:"30s" min:"0s" max:"1h" doc:"how often unfinished runs are compared with Temporal; the last worker that starts sets it for all; 0s: this worker leaves the schedule as it is"`
	CallbackURL    URL           `env:"LARI_CALLBACK_URL" rule:"webhook" doc:"where Temporal reaches /temporal/callback on the admin port of a process, if its list of allowed addresses permits; unset: what it closes is found by the next comparison"`
	CallbackSecret Secret        `env:"LARI_CALLBACK_SECRET" rule:"hs256" doc:"proves such a callback; the same in all processes, 32 bytes or more"`
}

// Schedules bounds what runs by the clock.
type Schedules struct {
	MinInterval time.Duration `env:"LARI_SCHEDULE_MIN_INTERVAL" default:"1m" min:"1s" max:"24h" doc:"the shortest time between two firings of a schedule that a tenant may ask for"`
}

// DogStatsD says where Datadog's agent listens, in the variables of Datadog's own libraries. Without a
// host or an address nothing is sent.
type DogStatsD struct {
	Host string `env:"DD_AGENT_HOST" rule:"host" doc:"host of Datadog's agent, to which the metrics of runs, models, tools and connectors are sent (DogStatsD); unset: nothing is sent. DD_ENV, DD_SERVICE and DD_VERSION become tags"`
	Port int    `env:"DD_DOGSTATSD_PORT" default:"8125" min:"1" max:"65535" doc:"its UDP port"`
	URL  string `env:"DD_DOGSTATSD_URL" rule:"dogstatsd" doc:"its address in one piece, instead of the two: udp://host:port or unix:///path/of/the/socket"`
}

// Network is that of the agent's address: udp, unixgram, or "" for no agent.
func (d DogStatsD) Network() string {
	switch {
	case strings.HasPrefix(d.URL, "unix:"):
		return "unixgram"
	case d.URL != "" || d.Host != "":
		return "udp"
	}
	return ""
}

// Address is the agent's host:port or the path of its socket.
func (d DogStatsD) Address() string {
	u, err := url.Parse(d.URL)
	if d.URL == "" || err != nil {
		return net.JoinHostPort(d.Host, strconv.Itoa(d.Port))
	}
	if u.Scheme == "unix" {
		return u.Path
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), strconv.Itoa(d.Port)))
}

// Limits bound what one request may cost.
type Limits struct {
	BodyBytes       Bytes         `env:"LARI_BODY_LIMIT" default:"1MiB" min:"1KiB" max:"1GiB" doc:"longest request body: bytes, or a number with KiB, MiB or GiB"`
	RequestTimeout  time.Duration `env:"LARI_REQUEST_TIMEOUT" default:"30s" min:"1s" max:"10m" doc:"longest work on a request that is neither a stream nor a wait"`
	ShutdownTimeout time.Duration `env:"LARI_SHUTDOWN_TIMEOUT" default:"30s" min:"1s" max:"1h" doc:"how long a stopping process lets work in flight finish"`
}

// Defaults are the limits of every tenant of which the platform says no other (PUT /v1/tenants/{tenant_id}/quotas).
// Zero is no limit.
type Defaults struct {
	ConcurrentRuns    int `env:"LARI_DEFAULT_CONCURRENT_RUNS" default:"1000" min:"0" max:"1000000" doc:"runs of a tenant that are queued, running or waiting at a time; 0: no limit. These settings hold for tenants of which the platform says no other, by its quotas; the API process that starts last sets them for all (docs/quotas.md)"`
	HeldRuns          int `env:"LARI_DEFAULT_HELD_RUNS" default:"10000" min:"0" max:"1000000" doc:"runs that are accepted and held back at a time; 0: no limit"`
	RunsPerDay        int `env:"LARI_DEFAULT_RUNS_PER_DAY" default:"200000" min:"0" max:"1000000000" doc:"runs accepted a day (UTC); 0: no limit"`
	RequestsPerMinute int `env:"LARI_DEFAULT_REQUESTS_PER_MINUTE" default:"60000" min:"0" max:"1000000" doc:"requests to one API process in any minute; 0: no limit. A limit in the quotas of a tenant counts over all processes together"`
	Schedules         int `env:"LARI_DEFAULT_SCHEDULES" default:"1000" min:"0" max:"1000000" doc:"schedules at a time; 0: no limit"`
	Streams           int `env:"LARI_DEFAULT_STREAMS" default:"5000" min:"0" max:"1000000" doc:"open streams, downloads and requests that wait for a run, in each API process; 0: no limit"`
	StreamsPerCaller  int `env:"LARI_DEFAULT_STREAMS_PER_CALLER" default:"1000" min:"0" max:"1000000" doc:"those of one user or API key; 0: no limit"`
	StartsAtOnce      int `env:"LARI_DEFAULT_STARTS_AT_ONCE" default:"4" min:"0" max:"1000" doc:"starts of runs that one process has under way in Temporal at a time; runs behind them are accepted and started in turn; 0: 4"`
	RequestsAtOnce    int `env:"LARI_DEFAULT_REQUESTS_AT_ONCE" default:"32" min:"0" max:"100000" doc:"other requests that one API process works on at a time; more wait up to five seconds for their turn; 0: no limit"`
}

// Worker sizes the Temporal role. The counts are per process.
type Worker struct {
	ConcurrentActivities      int `env:"LARI_WORKER_ACTIVITIES" default:"200" min:"1" max:"10000" doc:"activities (model calls, tool calls, deliveries) at once"`
	ConcurrentLocalActivities int `env:"LARI_WORKER_LOCAL_ACTIVITIES" default:"200" min:"1" max:"10000" doc:"local activities (records of run state) at once"`
	ConcurrentWorkflowTasks   int `env:"LARI_WORKER_WORKFLOW_TASKS" default:"200" min:"2" max:"10000" doc:"workflow decisions at once"`
	StepsPerExecution         int `env:"LARI_RUN_STEPS_PER_EXECUTION" default:"0" min:"0" max:"1000" doc:"steps after which a run continues in a fresh workflow execution; 0: when Temporal suggests it; read where runs are started"`
}

// Pooled reports whether a transaction pooler may stand before DatabaseURL: DATABASE_DIRECT_URL was
// given and leads elsewhere.
func (c Config) Pooled() bool { return c.DatabaseDirectURL != c.DatabaseURL }
