package config

import "strings"

// check reports values that do not fit each other.
func (c *Config) check(p *problems) {
	if c.AdminAddr != "" && c.AdminAddr == c.HTTPAddr && !strings.HasSuffix(c.HTTPAddr, ":0") {
		p.add("LARI_ADMIN_ADDR", "differs", "must differ from LARI_HTTP_ADDR, which is %q too", c.HTTPAddr)
	}
	plain := strings.HasPrefix(c.AlertsWebhookURL.Reveal(), "http://")
	if plain && c.Env != Development && !c.EgressAllowHTTP && !p.has("LARI_ENV") && !p.has("LARI_EGRESS_ALLOW_HTTP") {
		p.add("ALERTS_WEBHOOK_URL", "https", "must begin with https:// (or set LARI_EGRESS_ALLOW_HTTP=true)")
	}
	if !c.Reconcile.CallbackURL.Empty() && c.Reconcile.CallbackSecret.Empty() && !p.has("LARI_CALLBACK_SECRET") {
		p.add("LARI_CALLBACK_SECRET", "required_with", "must be set together with LARI_CALLBACK_URL")
	}
	if (c.Audit.AnchorFile != "" || !c.Audit.AnchorURL.Empty()) && c.Audit.SigningKey.Empty() && !p.has("LARI_AUDIT_SIGNING_KEY") {
		p.add("LARI_AUDIT_SIGNING_KEY", "required_with", "must be set together with LARI_AUDIT_ANCHOR_FILE or LARI_AUDIT_ANCHOR_URL")
	}
	if c.Metrics.Public && c.Env != Development && !p.has("LARI_ENV") {
		p.add("LARI_METRICS_PUBLIC", "development", "must be false unless LARI_ENV is development: the metrics of all tenants would be everybody's")
	}
	c.Temporal.TLS.check(p)
}

// Role is what a process does.
type Role string

// The closed list of roles.
const (
	RoleAPI       Role = "api"
	RoleWorker    Role = "worker"
	RoleMigrate   Role = "migrate"
	RoleBootstrap Role = "bootstrap"
	RoleDev       Role = "dev" // brings its own Postgres, Temporal and secret
)

// Roles lists every role, for tests that range over them.
func Roles() []Role { return []Role{RoleAPI, RoleWorker, RoleMigrate, RoleBootstrap, RoleDev} }

// Validate checks that what the role needs is there and that the files that it names can be read. The
// error has the form of Load's.
func (c Config) Validate(role Role) error {
	var p problems
	var database, temporal, auth bool
	switch role {
	case RoleAPI:
		database, temporal, auth = true, true, true
	case RoleWorker:
		database, temporal = true, true
	case RoleMigrate, RoleBootstrap:
		database = true
	case RoleDev:
	default:
		p.add("role", "oneof", "must be one of %v, not %q", Roles(), role)
	}
	if database && c.DatabaseURL.Empty() {
		p.add("DATABASE_URL", "required", "must be set for lari %s: postgres://user:password@host:5432/database", role)
	}
	if temporal && c.Temporal.Address == "" {
		p.add("TEMPORAL_ADDRESS", "required", "must be set for lari %s: host:port of the Temporal frontend, such as 127.0.0.1:7233", role)
	}
	if auth && c.Auth.JWTSecret.Empty() && c.Auth.JWKSURL == "" {
		p.add("SUPABASE_URL", "required", "must be set for lari %s, or else SUPABASE_JWT_SECRET or LARI_JWKS_URL: without one no caller can be recognised", role)
	}
	if temporal {
		if _, err := c.Temporal.TLSConfig(); err != nil {
			p.add("TEMPORAL_TLS_*", "files", "cannot be used: %v", err)
		}
	}
	return p.err()
}
