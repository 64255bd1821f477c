package devstack

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everything that a start writes is its owner's alone, whatever the umask.
func TestState_IsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openFolder(t), "state")
	must(t, MakeDataDir(dir))
	s := start(t, Config{DataDir: dir})
	write(t, s.DatabaseURL, "first")
	folder := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		folder = 0o710
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != folder {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	found := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // it is gone
		}
		inside := strings.HasPrefix(path, filepath.Join(dir, "postgres")+"/") // of a folder of 0700
		if found++; !inside && info.Mode().Perm()&0o077 != 0 && info.Mode().Type() != fs.ModeSocket {
			t.Errorf("%s is %v", path, info.Mode())
		}
		return nil
	}))
	if found < 5 {
		t.Fatalf("only %d files", found)
	}
}

func TestMakeDataDir_KeepsOthersFolders(t *testing.T) {
	t.Parallel()
	dir := openFolder(t)
	must(t, os.Chmod(dir, 0o755)) //nolint:gosec // that is its purpose
	must(t, MakeDataDir(dir))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600)) // a state folder of a version that left it open
	must(t, MakeDataDir(dir))
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o067 != 0 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
