package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/larirun/lari/deploy/supabase"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/devstack"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/workflows"
)

// Development is `lari dev`: everything on one machine. It brings Postgres and Temporal unless the
// configuration names them, keeps its state under the data folder, and prints how to begin.
type Development struct {
	Config config.Config
	Split  bool      // API and worker as processes of their own, as in production
	Out    io.Writer // for people
	Log    *slog.Logger
}

// State is what dev.json tells scripts.
type State struct {
	APIURL          string `json:"api_url"`
	AdminURL        string `json:"admin_url"`
	DatabaseURL     string `json:"database_url"`
	TemporalAddress string `json:"temporal_address"`
	TemporalUIURL   string `json:"temporal_ui_url"`
	Tenant          string `json:"tenant"` // id of the tenant that was seeded
	Token           string `json:"token"`  // an owner's, for a week
}

// DevFile is where State is kept, below the data folder.
const DevFile = "dev.json"

// secretFile holds the development secret, which lari token signs with.
const secretFile = "jwt-secret"

const devTokenTTL = 7 * 24 * time.Hour

// Run runs until ctx ends or a part fails.
func (d Development) Run(ctx context.Context) error {
	cfg, err := d.prepare()
	if err != nil {
		return err
	}
	if err := portsAreFree(ctx, cfg); err != nil {
		return err
	}
	stack, err := devstack.Start(ctx, devstack.Config{
		DataDir: cfg.DataDir, Out: d.Out, Log: d.Log, DatabaseURL: cfg.DatabaseURL.Reveal(), TemporalAddress: cfg.Temporal.Address, TemporalUI: true,
	})
	if err != nil {
		return err
	}
	defer func() { _ = stack.Close() }()
	cfg.DatabaseURL, cfg.Temporal.Address = config.NewURL(stack.DatabaseURL), stack.TemporalAddress
	if cfg.DatabaseDirectURL.Empty() {
		cfg.DatabaseDirectURL = cfg.DatabaseURL
	}
	if cfg.Temporal.UIURL == "" {
		cfg.Temporal.UIURL = stack.TemporalUIURL
	}
	state, err := d.populate(ctx, cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		if err, died := <-stack.Done(); died {
			stop(err)
		}
	}()
	err = d.roles(ctx, cfg, state)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

// portsAreFree says early that a port is taken: the first start prepares Postgres and Temporal for minutes.
func portsAreFree(ctx context.Context, cfg config.Config) error {
	for variable, addr := range map[string]string{"LARI_HTTP_ADDR": cfg.HTTPAddr, "LARI_ADMIN_ADDR": cfg.AdminAddr} {
		if addr == "" {
			continue
		}
		probe, err := listen(ctx, addr, variable)
		if err != nil {
			return err
		}
		_ = probe.Close()
	}
	return nil
}

// prepare fills what a developer does not have to configure.
func (d Development) prepare() (config.Config, error) {
	cfg := d.Config
	if err := devstack.MakeDataDir(cfg.DataDir); err != nil {
		return cfg, fmt.Errorf("the data folder %s cannot be made: %w", cfg.DataDir, err)
	}
	cfg.Env = config.Development
	if len(cfg.EgressAllow) == 0 {
		cfg.EgressAllow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		cfg.EgressAllowHTTP = true
	}
	if cfg.Auth.JWTSecret.Empty() && cfg.Auth.JWKSURL == "" {
		secret, err := DevSecret(cfg.DataDir)
		if err != nil {
			return cfg, err
		}
		cfg.Auth.JWTSecret = config.NewSecret(secret)
	}
	if cfg.Audit.SigningKey.Empty() {
		secret, err := DevSecret(cfg.DataDir)
		if err != nil {
			return cfg, err
		}
		cfg.Audit.SigningKey = config.NewSecret(secret)
	}
	return withCallbacks(cfg)
}

// withCallbacks lets a Temporal that is started here tell of closed workflows: its list of addresses holds
// the loopback ones.
func withCallbacks(cfg config.Config) (config.Config, error) {
	if cfg.Temporal.Address != "" || cfg.AdminAddr == "" || !cfg.Reconcile.CallbackURL.Empty() {
		return cfg, nil
	}
	_, port, err := net.SplitHostPort(cfg.AdminAddr)
	if err != nil || port == "0" {
		return cfg, nil // its port is not known before it listens
	}
	cfg.Reconcile.CallbackURL = config.NewURL("http://127.0.0.1:" + port + "/temporal/callback")
	if cfg.Reconcile.CallbackSecret.Empty() {
		secret, err := DevSecret(cfg.DataDir)
		if err != nil {
			return cfg, err
		}
		cfg.Reconcile.CallbackSecret = config.NewSecret(secret)
	}
	return cfg, nil
}

// DevSecret gives the development secret of a data folder; the first caller makes it.
func DevSecret(dataDir string) (string, error) {
	path := filepath.Join(dataDir, secretFile)
	known, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the folder
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the development secret: %w", err)
	}
	fresh := make([]byte, 48)
	if _, err := rand.Read(fresh); err != nil {
		return "", fmt.Errorf("make the development secret: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(fresh)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // G304: as above
	if errors.Is(err, os.ErrExist) {
		return DevSecret(dataDir) // another process made it at this moment
	}
	if err != nil {
		return "", fmt.Errorf("keep the development secret: %w", err)
	}
	_, err = f.WriteString(secret + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("keep the development secret: %w", err)
	}
	return secret, nil
}

// populate migrates and seeds, and gives what dev.json will say.
func (d Development) populate(ctx context.Context, cfg config.Config) (State, error) {
	all, err := postgres.ReadMigrations(supabase.Migrations)
	if err != nil {
		return State{}, err
	}
	if _, err := postgres.Migrate(ctx, cfg.DatabaseDirectURL.Reveal(), all); err != nil {
		return State{}, err
	}
	app, err := New(ctx, cfg, Options{}, d.Log)
	if err != nil {
		return State{}, err
	}
	defer app.Close()
	tenant, err := app.seed(ctx)
	if err != nil {
		return State{}, fmt.Errorf("seed the tenant %s: %w", DemoTenant, err)
	}
	state := State{
		DatabaseURL: cfg.DatabaseURL.Reveal(), TemporalAddress: cfg.Temporal.Address, TemporalUIURL: cfg.Temporal.UIURL, Tenant: tenant.ID.String(),
	}
	if cfg.AdminAddr != "" {
		state.AdminURL = "http://" + cfg.AdminAddr
	}
	if cfg.Auth.JWTSecret.Empty() {
		return state, nil // tokens come from the configured issuer
	}
	state.Token, err = auth.Mint([]byte(cfg.Auth.JWTSecret.Reveal()), auth.MintConfig{
		Tenant: tenant.ID, Role: auth.RoleOwner, Subject: demoUser, Issuer: cfg.Auth.Issuer, Audience: cfg.Auth.Audience, TTL: devTokenTTL,
	})
	return state, err
}

func (d Development) roles(ctx context.Context, cfg config.Config, state State) error {
	ready := func(url string) {
		state.APIURL = url
		if err := state.write(cfg.DataDir); err != nil {
			d.Log.WarnContext(ctx, "dev.json was not written", "error", err)
		}
		state.greet(d.Out, cfg)
	}
	if d.Split {
		return d.split(ctx, cfg, ready)
	}
	app, err := New(ctx, cfg, Options{API: true, Worker: true}, d.Log)
	if err != nil {
		return err
	}
	defer app.Close()
	return app.Run(ctx, ready)
}

// write replaces dev.json whole: a reader never sees half of it.
func (s State) write(dataDir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	path := filepath.Join(dataDir, DevFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// runsInTemporal returns the page of the Temporal UI that lists runs alone: deliveries and maintenance outnumber them.
func runsInTemporal(ui, namespace string) string {
	if ui == "" {
		return "none"
	}
	query := url.QueryEscape(`WorkflowType="` + workflows.AgentRunName + `"`)
	return strings.TrimSuffix(ui, "/") + "/namespaces/" + url.PathEscape(namespace) + "/workflows?query=" + query
}

func (s State) greet(out io.Writer, cfg config.Config) {
	model := "the built-in one (set OPENAI_API_KEY, OPENAI_BASE_URL or ANTHROPIC_API_KEY for a real one)"
	switch {
	case !cfg.Models.OpenAIKey.Empty() || cfg.Models.OpenAIBaseURL != "":
		model = "openai/" + cfg.Models.OpenAIModel
	case !cfg.Models.AnthropicKey.Empty():
		model = "anthropic/" + cfg.Models.AnthropicModel
	}
	_, _ = fmt.Fprintf(out, `
Lari is running.

  API          %[1]s
  Docs         %[1]s/docs
  Temporal UI  %[2]s
  Metrics      %[3]s/metrics
  Model        %[4]s

  Token (owner of the tenant %[5]s, for a week; also in %[6]s):

export LARI_TOKEN=%[7]s

  Start an agent and watch it:

curl -N %[1]s/v1/runs/stream -H "Authorization: Bearer $LARI_TOKEN" -H 'Content-Type: application/json' -d '{"input": "What happens to a run when its worker dies?"}'

  Ctrl-C stops everything; the state stays.

`, s.APIURL, runsInTemporal(s.TemporalUIURL, cfg.Temporal.Namespace), s.AdminURL, model, DemoTenant, filepath.Join(cfg.DataDir, DevFile), s.Token)
}
