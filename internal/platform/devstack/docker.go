package devstack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// dockerImage is the pgvector project's own image.
const dockerImage = "pgvector/pgvector:0.8.0-pg17"

// errNoDocker says that no Docker engine answers.
var errNoDocker = errors.New("no Docker engine")

// dockerPostgres runs the image. The client stays in the foreground as our child: it passes signals on, so
// the container ends when we do.
func (b *boot) dockerPostgres(ctx context.Context, home cluster) (*child, string, error) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		return nil, "", errNoDocker
	}
	if _, ok := outputOf(ctx, nil, docker, "version", "--format", "{{.Server.Version}}"); !ok {
		return nil, "", errNoDocker
	}
	// A volume keeps the password it was made with and may be older than the state file, so this one is
	// fixed; the port is on loopback only.
	password, err := b.password(func() string { return "lari" })
	if err != nil {
		return nil, "", err
	}
	if _, ok := outputOf(ctx, nil, docker, "image", "inspect", dockerImage); !ok {
		done := b.out.repeat(ctx, 10*time.Second, "downloading the Docker image "+dockerImage+", once")
		_, err := runQuietly(exec.CommandContext(ctx, docker, "pull", "--quiet", dockerImage)) //nolint:gosec // fixed program
		done()
		if err != nil {
			return nil, "", noServer(err)
		}
	}
	name := "lari-postgres-" + shortHash(home.dir)
	for try := 1; ; try++ {
		_, _ = outputOf(ctx, nil, docker, "rm", "--force", name) // what an earlier run left behind
		c, address, err := b.tryPostgres(ctx, password, func(port int) childSpec {
			return childSpec{
				name: "postgres", path: docker, args: dockerArguments(name, port, home.ephemeral),
				env: append(os.Environ(), "POSTGRES_PASSWORD="+password), dir: "/", orphanSignal: syscall.SIGINT,
				stops: []stopStep{{syscall.SIGINT, 20 * time.Second}, {syscall.SIGTERM, 5 * time.Second}},
			}
		})
		if err == nil || c == nil {
			return c, address, err
		}
		if again, err := b.again(ctx, c, err, try); !again {
			return nil, "", err
		}
	}
}

// dockerArguments leave the password to the environment, where `ps` does not show it.
func dockerArguments(name string, port int, ephemeral bool) []string {
	const data = "/var/lib/postgresql/data"
	args := []string{
		"run", "--rm", "--name", name, "--publish", loopback + ":" + strconv.Itoa(port) + ":5432",
		"--shm-size", "256m", "--env", "POSTGRES_PASSWORD",
	}
	settings := []string{"max_connections=200", "jit=off", "timezone=GMT"}
	if ephemeral {
		args = append(args, "--tmpfs", data, dockerImage)
		settings = append(settings, ephemeralSettings()...)
	} else {
		args = append(args, "--volume", name+":"+data, dockerImage)
	}
	return append(args, asOptions("-c", settings)...)
}
