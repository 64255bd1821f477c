package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MakeDataDir makes the folder that holds the state of lari dev, readable by its owner alone: 0700. For root, whose
// Postgres runs as another account, that account's group may pass through: 0710. A folder that was there before keeps
// its mode unless it is a state folder of ours. Missing parents are made enterable.
func MakeDataDir(path string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	_, err = os.Lstat(filepath.Join(abs, "lock")) // which every start takes
	known := err == nil
	if err := makeOpenFolder(filepath.Dir(abs)); err != nil {
		return err
	}
	err = os.Mkdir(abs, 0o700)
	if errors.Is(err, fs.ErrExist) && !known {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if owner, err := ownerOf(abs); err != nil || owner != uint32(os.Geteuid()) { //nolint:gosec // ids are 32 bits wide
		return err
	}
	mode := fs.FileMode(0o700)
	if who, err := serverAccount(); err == nil && who.borrowed {
		group := int(who.gid)
		if info, err := os.Stat(filepath.Join(abs, "postgres")); err == nil {
			if owner, ok := info.Sys().(*syscall.Stat_t); ok {
				group = int(owner.Gid) // an account that an earlier start borrowed
			}
		}
		if err := os.Chown(abs, -1, group); err != nil {
			return fmt.Errorf("give %s to the group of %s: %w", abs, who.name, err)
		}
		mode = 0o710
	}
	if err := os.Chmod(abs, mode); err != nil {
		return fmt.Errorf("close folder: %w", err)
	}
	return nil
}

// hideDatabase makes the files of Temporal's database readable by their owner alone, whatever the umask.
func (b *boot) hideDatabase() error {
	files, err := filepath.Glob(filepath.Join(b.dir, temporalDatabase+"*"))
	for _, file := range files {
		if failed := os.Chmod(file, 0o600); failed != nil && !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}
