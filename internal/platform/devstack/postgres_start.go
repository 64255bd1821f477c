package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgres starts a private Postgres and gives its child and the URL of the database.
func (b *boot) postgres(ctx context.Context) (*child, string, error) {
	who, err := serverAccount()
	if err != nil {
		return nil, "", err
	}
	home, err := locateCluster(b.out, b.dir, who, b.ephemeral)
	if err != nil {
		return nil, "", err
	}
	installed, err := prepareServer(ctx, b.out, b.cache, home.who, home.major())
	if err != nil {
		if c, address, dockerErr := b.dockerPostgres(ctx, home); !errors.Is(dockerErr, errNoDocker) {
			return c, address, dockerErr
		}
		return nil, "", err
	}
	if err := home.fits(installed); err != nil {
		return nil, "", err
	}
	password, err := b.password(rand.Text)
	if err != nil {
		return nil, "", err
	}
	if err := home.initialise(ctx, b.out, installed, password); err != nil {
		return nil, "", err
	}
	if err := clearCluster(ctx, b.out, home.dir); err != nil {
		return nil, "", err
	}
	return b.launchPostgres(ctx, home, installed, password)
}

// password gives the remembered password, else remembers a new one before anything is made with it.
func (b *boot) password(fresh func() string) (string, error) {
	if known := b.state.get().PostgresPassword; known != "" {
		return known, nil
	}
	password := fresh()
	return password, b.state.update(func(s *state) { s.PostgresPassword = password })
}

// launchPostgres starts the server: on another port when somebody took ours between look and bind, and
// with its password set anew when the state file that knew it was lost.
func (b *boot) launchPostgres(ctx context.Context, home cluster, installed server, password string) (*child, string, error) {
	for try := 1; ; try++ {
		c, address, err := b.tryPostgres(ctx, password, func(port int) childSpec {
			return childSpec{
				name: "postgres", path: installed.program("postgres"), args: serverArguments(home, port),
				env: installed.environment(), dir: home.dir, credential: home.who.credential(),
				orphanSignal: serverStops(home)[0].signal, stops: serverStops(home),
			}
		})
		if err == nil || c == nil {
			return c, address, err
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "28P01" && try == 1 { // invalid_password
			if err := home.resetPassword(ctx, installed, password); err != nil {
				return nil, "", err
			}
			continue
		}
		if again, err := b.again(ctx, c, err, try); !again {
			return nil, "", err
		}
	}
}

// tryPostgres starts one child and makes its database. On an error with a child, that child is stopped.
func (b *boot) tryPostgres(ctx context.Context, password string, spec func(port int) childSpec) (*child, string, error) {
	port, err := b.port("Postgres", firstPostgresPort, func(s *state) *int { return &s.PostgresPort })
	if err != nil {
		return nil, "", err
	}
	s := spec(port)
	s.logDir = b.logDir
	c, err := startChild(s)
	if err != nil {
		return nil, "", trouble(err, "Postgres cannot be started from %s (%v): check that this user may run it.", s.path, cause(err))
	}
	admin, address := databaseURL(port, password, superuser), databaseURL(port, password, databaseName)
	err = awaitPostgres(ctx, c, admin)
	if err == nil {
		err = createDatabase(ctx, admin, address)
	}
	if err != nil {
		c.stop()
	}
	return c, address, err
}

// serverArguments are given on the command line, so that an existing cluster follows our changes.
func serverArguments(home cluster, port int) []string {
	settings := []string{
		"listen_addresses=" + loopback, "port=" + strconv.Itoa(port),
		"unix_socket_directories=", // a socket's path may have 107 bytes; a state folder's may be longer
		"shared_buffers=128MB", "max_connections=200", "jit=off", "logging_collector=off", "log_destination=stderr",
		"timezone=GMT", "log_timezone=GMT", // the one zone that needs no zone files
		"max_parallel_maintenance_workers=0", // parallel index builds want more /dev/shm than a container has
	}
	if home.ephemeral {
		settings = append(settings, ephemeralSettings()...)
	}
	return append([]string{"-D", home.dir}, asOptions("-c", settings)...)
}

// ephemeralSettings trade safety after a crash for speed, and allow a crowd of parallel tests.
func ephemeralSettings() []string {
	return []string{"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=500"}
}

// asOptions puts an option name before each value.
func asOptions(name string, values []string) []string {
	var args []string
	for _, value := range values {
		args = append(args, name, value)
	}
	return args
}

// serverStops are Postgres' fast and immediate shutdowns. The first keeps everything and writes a
// checkpoint; data that is removed anyway needs none.
func serverStops(home cluster) []stopStep {
	immediate := stopStep{syscall.SIGQUIT, 5 * time.Second}
	if home.ephemeral {
		return []stopStep{immediate}
	}
	return []stopStep{{syscall.SIGINT, 15 * time.Second}, immediate}
}

// awaitPostgres waits until the server answers, at most a minute, or ten while it recovers from a crash.
func awaitPostgres(ctx context.Context, c *child, address string) error {
	begun := time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ping(ctx, address)
		if err == nil {
			return nil
		}
		limit := time.Minute
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			if refused.Code != "57P03" { // cannot_connect_now
				return fmt.Errorf("it answers, but refuses us: %w", err)
			}
			limit = 10 * time.Minute
		}
		if time.Since(begun) > limit {
			return fmt.Errorf("no answer after %s: %w", limit, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for Postgres: %w", ctx.Err())
		case <-c.exited:
			return fmt.Errorf("it ended: %s", c.ending())
		case <-ticker.C:
		}
	}
}
