package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

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
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	slug := flags.String("tenant", "demo", "slug of the tenant")
	role := flags.String("role", string(auth.RoleOwner), "viewer, operator, admin, owner or service_role")
	ttl := flags.Duration("ttl", time.Hour, "how long it is good for")
	if err := parse(flags, args); err != nil {
		return err
	}
	cfg, log, err := configure(config.RoleDev)
	if err != nil {
		return err
	}
	secret, url := cfg.Auth.JWTSecret.Reveal(), cfg.DatabaseURL.Reveal()
	if secret == "" {
		if secret, err = app.DevSecret(cfg.DataDir); err != nil {
			return err
		}
	}
	if url == "" {
		state, err := readState(cfg.DataDir)
		if err != nil {
			return err
		}
		url = state.DatabaseURL
	}
	db, err := postgres.Open(ctx, postgres.Config{URL: url, MaxConns: 1}, log)
	if err != nil {
		return err
	}
	defer db.Close()
	tenant, err := tenants.NewService(db).FindTenantBySlug(ctx, *slug)
	if err != nil {
		return err
	}
	jwt, err := auth.Mint([]byte(secret), auth.MintConfig{
		Tenant: tenant.ID, Role: auth.Role(*role), Subject: "lari-token", Issuer: cfg.Auth.Issuer, Audience: cfg.Auth.Audience, TTL: *ttl,
	})
	if err != nil {
		return err
	}
	fmt.Println(jwt)
	return nil
}
