package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// boot is one start: the state folder under its lock, and what both children need.
type boot struct {
	dir, logDir string
	ephemeral   bool
	keep        bool
	out         *progress
	cache       *cache
	state       *stateFile
	lock        *fileLock
}

// ephemeralPrefix names throw-away state folders, so that the next one can sweep those of killed parents.
const ephemeralPrefix = "lari-ephemeral-"

// openBoot takes the state folder for this process.
func openBoot(ctx context.Context, cfg Config, out *progress) (*boot, error) {
	store, err := openCache()
	if err != nil {
		return nil, err
	}
	b := &boot{ephemeral: cfg.Ephemeral, keep: cfg.Keep, out: out, cache: store}
	if cfg.Ephemeral {
		err = b.openEphemeral(ctx, cfg.DataDir)
	} else {
		err = b.openLasting(cfg.DataDir)
	}
	if err != nil {
		return nil, err
	}
	b.logDir = filepath.Join(b.dir, "logs")
	if b.state, err = openState(b.dir); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *boot) openLasting(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	b.dir = abs
	if err := MakeDataDir(abs); err != nil {
		return explainState(err, abs)
	}
	path := filepath.Join(abs, "lock")
	if b.lock, err = tryLock(path); err != nil {
		if errors.Is(err, errLocked) {
			return trouble(err, "The state folder %s is in use by another Lari (process %d): stop that one, or set LARI_DATA_DIR to another folder.", abs, lockOwner(path))
		}
		return explainState(err, abs)
	}
	return nil
}

// openEphemeral makes a folder of its own under parent ("": the system's). The lock lies beside it and is
// taken before the folder exists, so a sweeper never sees a live folder without its lock.
func (b *boot) openEphemeral(ctx context.Context, parent string) error {
	if parent == "" {
		parent = os.TempDir()
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	sweepEphemeral(ctx, parent)
	for {
		file, err := os.CreateTemp(parent, ephemeralPrefix+"*.lock")
		if err != nil {
			return explainState(err, parent)
		}
		path := file.Name()
		_ = file.Close()
		b.lock, err = tryLock(path)
		if errors.Is(err, errLocked) {
			continue // a sweeper was quicker
		}
		if err != nil {
			return explainState(err, parent)
		}
		b.dir = path[:len(path)-len(".lock")]
		if err := MakeDataDir(b.dir); err != nil {
			b.lock.release(true)
			return explainState(err, b.dir)
		}
		return nil
	}
}

// sweepEphemeral removes folders whose parents were killed before they could.
func sweepEphemeral(ctx context.Context, parent string) {
	locks, err := filepath.Glob(filepath.Join(parent, ephemeralPrefix+"*.lock"))
	if err != nil {
		return
	}
	for _, path := range locks {
		if owner, err := ownerOf(path); err != nil || owner != uint32(os.Geteuid()) { //nolint:gosec // ids are 32 bits wide
			continue
		}
		lock, err := tryLock(path)
		if err != nil {
			continue // its owner lives
		}
		dir := path[:len(path)-len(".lock")]
		if err := endOrphans(ctx, dir); err == nil {
			removeEphemeral(dir)
			lock.release(true)
		} else {
			lock.release(false)
		}
	}
}

// endOrphans stops what still runs in a dead parent's folder; on Linux the kernel has done it already.
func endOrphans(ctx context.Context, dir string) error {
	silent := newProgress(nil)
	for _, home := range []string{filepath.Join(dir, "postgres"), filepath.Join(clusterElsewhere(dir), "postgres")} {
		if _, err := os.Stat(home); err != nil {
			continue
		}
		if err := clearCluster(ctx, silent, home); err != nil {
			return err
		}
	}
	last, err := openState(dir)
	if err != nil {
		return err
	}
	return endTemporalOrphan(ctx, silent, last.get())
}

// removeEphemeral removes a state folder and the cluster that it may have elsewhere.
func removeEphemeral(dir string) {
	_ = os.RemoveAll(dir)
	_ = os.RemoveAll(clusterElsewhere(dir))
}

// port gives a port for one listener and remembers it: the last start's if it is still free, so that URLs
// stay the same.
func (b *boot) port(what string, first int, field func(*state) *int) (int, error) {
	now := b.state.get()
	remembered := *field(&now)
	if b.ephemeral {
		first = 0
	}
	port, err := pickPort(remembered, first)
	if err != nil {
		return 0, err
	}
	if remembered != 0 && port != remembered {
		b.out.line("port %d is taken by another program: %s moves to %d", remembered, what, port)
	}
	return port, b.state.update(func(s *state) { *field(s) = port })
}

// close gives the state folder back, and removes it if it was for this run only.
func (b *boot) close() {
	switch {
	case b.ephemeral && b.keep:
		b.out.line("kept %s", b.dir)
	case b.ephemeral:
		removeEphemeral(b.dir)
	}
	b.lock.release(b.ephemeral)
}
