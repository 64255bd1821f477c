package devstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A normal user without any root right prepares Postgres in its own cache and runs it.
func TestNormalUserFromNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || testing.Short() {
		t.Skip("needs root to become another user, and some seconds")
	}
	home := openFolder(t)
	must(t, os.Chown(home, 65534, 65534))
	binary := filepath.Join(home, "helper") // the test binary lies in a folder of root's
	text, err := os.ReadFile(os.Args[0])    //nolint:gosec // this very binary
	must(t, err)
	must(t, os.WriteFile(binary, text, 0o755)) //nolint:gosec // a program for another user
	for _, name := range []string{"first", "second"} {
		begun := time.Now()
		parent, told := startHelper(t, Config{DataDir: filepath.Join(home, ".lari"), TemporalAddress: givenTemporal}, func(cmd *exec.Cmd) {
			asUser(65534)(cmd)
			cmd.Path, cmd.Dir = binary, home
			cmd.Env = append(withoutVariables(cmd.Env, "LARI_CACHE_DIR", "XDG_CACHE_HOME", "HOME"), "HOME="+home)
		})
		t.Logf("%s start: %s", name, time.Since(begun).Round(time.Millisecond))
		write(t, told.DatabaseURL, name)
		owner, err := ownerOf(filepath.Join(home, ".lari", "postgres"))
		must(t, err)
		if owner != 65534 {
			t.Fatalf("cluster belongs to uid %d", owner)
		}
		must(t, parent.Process.Kill())
		goneWithin(t, 20*time.Second, told.PIDs)
		if name == "second" {
			mustHold(t, start(t, Config{DataDir: filepath.Join(home, ".lari"), TemporalAddress: givenTemporal}).DatabaseURL, "first,second")
		}
	}
}
