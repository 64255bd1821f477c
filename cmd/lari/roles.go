package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"

	"github.com/larirun/lari/deploy/supabase"
	"github.com/larirun/lari/internal/app"
	"github.com/larirun/lari/internal/platform/config"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/telemetry"
)

// parse reads a subcommand's flags; it takes no further arguments.
func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "lari %s takes no argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}

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

func serveAPI(ctx context.Context, args []string) error {
	return role(ctx, args, config.RoleAPI, app.Options{API: true})
}

func work(ctx context.Context, args []string) error {
	return role(ctx, args, config.RoleWorker, app.Options{Worker: true})
}

func role(ctx context.Context, args []string, name config.Role, o app.Options) error {
	if err := parse(flag.NewFlagSet(string(name), flag.ContinueOnError), args); err != nil {
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
	flags := flag.NewFlagSet("dev", flag.ContinueOnError)
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
	if err := parse(flag.NewFlagSet("migrate", flag.ContinueOnError), args); err != nil {
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
	applied, err := postgres.Migrate(ctx, cfg.DatabaseDirectURL.Reveal(), all)
	for _, version := range applied {
		fmt.Println("applied", version)
	}
	if err == nil && len(applied) == 0 {
		fmt.Println("nothing to apply")
	}
	return err
}

func printVersion(_ context.Context, args []string) error {
	if err := parse(flag.NewFlagSet("version", flag.ContinueOnError), args); err != nil {
		return err
	}
	fmt.Println(app.Version())
	return nil
}
