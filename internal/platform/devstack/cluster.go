package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

const (
	superuser = "postgres"
	// readyMark lies in a cluster that initdb finished.
	readyMark = "lari.ready"
	// rootClusters is where root's clusters go when the server's user cannot enter the state folder.
	rootClusters = "/var/lib/lari"
)

// cluster is a data folder and who runs it.
type cluster struct {
	dir       string // the data folder itself
	who       account
	ephemeral bool
}

// locateCluster chooses the data folder for a state folder, and the account: an existing cluster's owner,
// else who.
func locateCluster(out *progress, stateDir string, who account, ephemeral bool) (cluster, error) {
	c := cluster{dir: filepath.Join(stateDir, "postgres"), who: who, ephemeral: ephemeral}
	// Asked first: the state folder of another user is closed to everybody but that user.
	if owner, err := ownerOf(c.dir); err == nil && who.borrowed && owner != 0 && owner != who.uid {
		c.who.uid, c.who.name = owner, fmt.Sprintf("uid %d", owner)
	}
	if !c.who.canEnter(stateDir) {
		base := clusterElsewhere(stateDir)
		c.dir = filepath.Join(base, "postgres")
		if err := makeOpenFolder(base); err != nil {
			return cluster{}, trouble(err, "%s cannot enter %s, and %s cannot be made (%v): set LARI_DATA_DIR to a folder open to all.", who.name, stateDir, base, cause(err))
		}
		out.line("%s, who runs Postgres, cannot enter %s: its data is in %s", who.name, stateDir, c.dir)
	}
	owner, err := ownerOf(c.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return cluster{}, err
	case owner == c.who.uid:
		return c, nil
	case who.borrowed && owner != 0:
		c.who.uid, c.who.name = owner, fmt.Sprintf("uid %d", owner)
		return c, nil
	default:
		return cluster{}, trouble(nil, "The Postgres data in %s belongs to another user (uid %d): run as that user, or set LARI_DATA_DIR to another folder.", c.dir, owner)
	}
}

// clusterElsewhere gives the folder that takes a state folder's cluster when it cannot hold it itself.
func clusterElsewhere(stateDir string) string {
	return filepath.Join(rootClusters, shortHash(stateDir))
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// ready reports whether initdb finished here.
func (c cluster) ready() bool {
	_, err := os.Stat(filepath.Join(c.dir, readyMark))
	return err == nil
}

// major gives the version that made the cluster, 0 when there is none yet.
func (c cluster) major() int {
	if !c.ready() {
		return 0
	}
	return firstNumber(filepath.Join(c.dir, "PG_VERSION"))
}

// fits explains a cluster of another major version than the server's.
func (c cluster) fits(s server) error {
	if made := c.major(); made != 0 && made != s.major {
		return trouble(nil, "The data in %s was made by PostgreSQL %d, but only PostgreSQL %d was found (%s): install PostgreSQL %d with pgvector, "+
			"or move that folder away to begin with an empty database.", c.dir, made, s.major, s.origin, made)
	}
	return nil
}

// initialise makes the cluster if there is none. initdb works beside the final name and one rename makes
// the result, so a folder without the mark was not finished by us and is set aside.
func (c cluster) initialise(ctx context.Context, out *progress, s server, password string) error {
	if c.ready() {
		return nil
	}
	if _, err := os.Stat(c.dir); err == nil {
		if err := c.discardUnfinished(ctx, out); err != nil {
			return err
		}
	}
	half := c.dir + ".half"
	if _, err := os.Stat(half); err == nil {
		if err := clearCluster(ctx, out, half); err != nil { // an initdb that outlived its parent
			return err
		}
	}
	if err := os.RemoveAll(half); err != nil {
		return explainDisk(err, filepath.Dir(c.dir))
	}
	if err := c.initdb(ctx, s, half, password); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(half, readyMark), nil, 0o600); err != nil {
		return explainDisk(err, half)
	}
	if err := os.Rename(half, c.dir); err != nil {
		return explainDisk(err, c.dir)
	}
	return nil
}

// discardUnfinished removes a folder without the mark, unless a server has ever run in it: that one is
// somebody's data, and is moved aside.
func (c cluster) discardUnfinished(ctx context.Context, out *progress) error {
	if err := clearCluster(ctx, out, c.dir); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(c.dir, "postmaster.opts")); err == nil {
		aside := c.dir + ".unfinished"
		for n := 2; ; n++ {
			if _, err := os.Stat(aside); errors.Is(err, fs.ErrNotExist) {
				break
			}
			aside = fmt.Sprintf("%s.unfinished%d", c.dir, n)
		}
		out.line("%s is not a cluster that Lari made: moved to %s, a new one is made", c.dir, aside)
		return explainDisk(os.Rename(c.dir, aside), c.dir)
	}
	out.line("removing a half-made Postgres cluster in %s", c.dir)
	return explainDisk(os.RemoveAll(c.dir), c.dir)
}

func (c cluster) initdb(ctx context.Context, s server, dir, password string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return explainDisk(err, filepath.Dir(dir))
	}
	if err := c.who.own(dir); err != nil {
		return err
	}
	secret := dir + ".password"
	defer func() { _ = os.Remove(secret) }()
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return explainDisk(err, filepath.Dir(dir))
	}
	if err := c.who.own(secret); err != nil {
		return err
	}
	locale := "C.UTF-8"
	if runtime.GOOS == "darwin" {
		locale = "en_US.UTF-8"
	}
	args := []string{"-D", dir, "-U", superuser, "--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", locale}
	if c.ephemeral {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, s.program("initdb"), args...) //nolint:gosec // fixed program
	cmd.Env, cmd.Dir = s.environment(), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.who.credential()}
	if text, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("initdb: %w", ctx.Err())
		}
		switch {
		case isNamelessUser(string(text)):
			return namelessUser(err)
		case strings.Contains(string(text), "No space left"):
			err = syscall.ENOSPC
		}
		return explainDisk(fmt.Errorf("%w: %s", err, complaint(string(text))), dir)
	}
	return nil
}

// resetPassword sets the superuser's password without knowing the old one: for a cluster whose state file
// was lost. The server must be stopped.
func (c cluster) resetPassword(ctx context.Context, s server, password string) error {
	cmd := exec.CommandContext(ctx, s.program("postgres"), "--single", "-D", c.dir, "postgres") //nolint:gosec // fixed program
	cmd.Env, cmd.Dir = s.environment(), c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.who.credential()}
	cmd.Stdin = strings.NewReader("ALTER ROLE " + superuser + " PASSWORD '" + password + "'\n")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("reset the password of %s: %w: %s", superuser, err, complaint(string(text)))
	}
	return nil
}

// explainDisk turns file errors of a data folder into sentences; nil stays nil.
func explainDisk(err error, path string) error {
	switch {
	case err == nil:
		return nil
	case isDiskFull(err):
		return trouble(err, "The disk of %s is full: free about 200 MB or set LARI_DATA_DIR to another disk.", path)
	case errors.Is(err, fs.ErrPermission):
		return trouble(err, "%s cannot be written (%v): set LARI_DATA_DIR to a folder you can write.", path, cause(err))
	default:
		return trouble(err, "A Postgres cluster cannot be made in %s: %v; remove that folder and try again, or set DATABASE_URL.", path, err)
	}
}
