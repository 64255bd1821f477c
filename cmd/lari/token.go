package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/tenants"
)

// readState reads what a running `lari dev` has left for scripts.
func readState(dataDir string) (app.State, error) {
	path := filepath.Join(dataDir, app.DevFile)
	data, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the folder
	if err != nil {
		return app.State{}, fmt.Errorf("%s cannot be read (%w): start lari dev first, in the same folder", path, err)
	}
	var s app.State
	if err := json.Unmarshal(data, &s); err != nil {
		return app.State{}, fmt.Errorf("%s does not hold what lari dev writes: %w", path, err)
	}
	return s, nil
}

// token prints a JWT and nothing else.
func token(ctx context.Context, args []string) error {
	flags := newFlags("token", "", "Prints a token signed with SUPABASE_JWT_SECRET, or with the secret of the lari dev that runs here, and nothing else.")
	slug := flags.String("tenant", "", "`slug` of the tenant; default: demo, and none for service_role")
	role := flags.String("role", string(auth.RoleOwner), "`role`: viewer, operator, admin, owner, or service_role for the platform itself")
	ttl := flags.Duration("ttl", time.Hour, "how long it is valid")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, log, err := configure(config.RoleDev)
	if err != nil {
		return err
	}
	secret, err := signingSecret(cfg)
	if err != nil {
		return err
	}
	of, err := tokenTenant(ctx, cfg, log, *slug, auth.Role(*role))
	if err != nil {
		return err
	}
	jwt, err := auth.Mint(secret, auth.MintConfig{
		Tenant: of, Role: auth.Role(*role), Subject: "lari-token", Issuer: cfg.Auth.Issuer, Audience: cfg.Auth.Audience, TTL: *ttl,
	})
	if err != nil {
		return err
	}
	fmt.Println(jwt)
	return nil
}

// signingSecret returns the secret that the API checks HS256 tokens with.
func signingSecret(cfg config.Config) ([]byte, error) {
	if !cfg.Auth.JWTSecret.Empty() {
		return []byte(cfg.Auth.JWTSecret.Reveal()), nil
	}
	if cfg.Auth.JWKSURL != "" {
		return nil, errors.New("only the issuer of LARI_JWKS_URL can sign tokens here: set SUPABASE_JWT_SECRET for the API too, or use an API key (lari bootstrap)")
	}
	if _, err := readState(cfg.DataDir); err != nil {
		return nil, fmt.Errorf("SUPABASE_JWT_SECRET is not set, and %w", err)
	}
	secret, err := app.DevSecret(cfg.DataDir)
	return []byte(secret), err
}

// tokenTenant returns the tenant of a token: the named one, that of lari dev, or none for the platform itself.
func tokenTenant(ctx context.Context, cfg config.Config, log *slog.Logger, slug string, role auth.Role) (uuid.UUID, error) {
	if slug == "" {
		if role == auth.RoleService {
			return uuid.Nil, nil
		}
		slug = app.DemoTenant
	}
	cfg, err := withDevDatabase(cfg)
	if err != nil {
		return uuid.Nil, err
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: cfg.DatabaseURL.Reveal(), Pooled: cfg.Pooled(), MaxConns: 1}, log)
	if err != nil {
		return uuid.Nil, err
	}
	defer db.Close()
	tenant, err := tenants.NewService(db).FindTenantBySlug(ctx, slug)
	return tenant.ID, err
}
