package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/larirun/lari/deploy/supabase"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/telemetry"
)

// configure reads the configuration for a role and makes the logger.
func configure(role config.Role) (config.Config, *slog.Logger, error) {
	cfg, err := config.Load(config.Environ(os.Environ()))
	if err == nil {
		err = cfg.Validate(role)
	}
	if err != nil {
		return config.Config{}, nil, err
	}
	return cfg, telemetry.NewLogger(os.Stderr, cfg.Log.Level, string(cfg.Log.Format)), nil
}

// configureDatabase is configure for a command that speaks to the database only: without DATABASE_URL it takes that
// of the lari dev that runs here.
func configureDatabase(role config.Role) (config.Config, *slog.Logger, error) {
	cfg, err := config.Load(config.Environ(os.Environ()))
	if err != nil {
		return config.Config{}, nil, err
	}
	cfg, _ = withDevDatabase(cfg) // Validate names what is missing
	if err := cfg.Validate(role); err != nil {
		return config.Config{}, nil, err
	}
	return cfg, telemetry.NewLogger(os.Stderr, cfg.Log.Level, string(cfg.Log.Format)), nil
}

// withDevDatabase fills an absent DATABASE_URL with that of the lari dev that runs here.
func withDevDatabase(cfg config.Config) (config.Config, error) {
	if !cfg.DatabaseURL.Empty() {
		return cfg, nil
	}
	state, err := readState(cfg.DataDir)
	if err != nil {
		return cfg, fmt.Errorf("DATABASE_URL is not set, and %w", err)
	}
	cfg.DatabaseURL, cfg.DatabaseDirectURL = config.NewURL(state.DatabaseURL), config.NewURL(state.DatabaseURL)
	return cfg, nil
}

func serveAPI(ctx context.Context, args []string) error {
	return role(ctx, args, config.RoleAPI, app.Options{API: true}, "Serves the HTTP API until it is signalled; docs/configuration.md lists its environment.")
}

func work(ctx context.Context, args []string) error {
	return role(ctx, args, config.RoleWorker, app.Options{Worker: true}, "Executes runs until it is signalled; docs/configuration.md lists its environment.")
}

func role(ctx context.Context, args []string, name config.Role, o app.Options, about string) error {
	if err := parse(newFlags(string(name), "", about), args); err != nil {
		return err
	}
	cfg, log, err := configure(name)
	if err != nil {
		return err
	}
	log.LogAttrs(ctx, slog.LevelInfo, "lari "+string(name)+" starts", append([]slog.Attr{slog.String("version", app.Version())}, cfg.Redacted()...)...)
	a, err := app.New(ctx, cfg, o, log)
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Run(ctx, func(string) {})
}

func dev(ctx context.Context, args []string) error {
	flags := newFlags("dev", "", "Runs everything on this machine: Postgres, Temporal with its UI, API and worker. Ctrl-C ends it; its state stays in .lari.")
	split := flags.Bool("split", false, "run API and worker as processes of their own, as in production")
	if err := parse(flags, args); err != nil {
		return err
	}
	if os.Getenv("LARI_LOG_LEVEL") == "" {
		if err := os.Setenv("LARI_LOG_LEVEL", "warn"); err != nil { // a terminal is for people; the roles log more
			return err
		}
	}
	if os.Getenv("LARI_LOG_FORMAT") == "" {
		if err := os.Setenv("LARI_LOG_FORMAT", "text"); err != nil {
			return err
		}
	}
	cfg, log, err := configure(config.RoleDev)
	if err != nil {
		return err
	}
	err = app.Development{Config: cfg, Split: *split, Out: os.Stdout, Log: log}.Run(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func migrate(ctx context.Context, args []string) error {
	if err := parse(newFlags("migrate", "", "Applies the migrations that the database of DATABASE_URL lacks, each in a transaction, and prints their names."), args); err != nil {
		return err
	}
	cfg, _, err := configure(config.RoleMigrate)
	if err != nil {
		return err
	}
	all, err := postgres.ReadMigrations(supabase.Migrations)
	if err != nil {
		return err
	}
	direct := cfg.DatabaseDirectURL.Reveal()
	if err := app.CheckSession(ctx, direct, direct); err != nil {
		return err
	}
	applied, err := postgres.Migrate(ctx, direct, all)
	for _, version := range applied {
		fmt.Println("applied", version)
	}
	if err == nil && len(applied) == 0 {
		fmt.Println("nothing to apply")
	}
	return err
}
