package pgtest

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// StartBouncer runs PgBouncer in transaction mode in front of a database and returns the URL through it. The test is
// skipped where PgBouncer is not to be had.
func StartBouncer(t testing.TB, to string) string {
	t.Helper()
	upstream, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	password, given := upstream.User.Password()
	if given {
		password = " password='" + password + "'"
	}
	dir, err := os.MkdirTemp("", "lari-pooler-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, libraries := findBouncer(t, dir)
	port := freePort(t)
	config := filepath.Join(dir, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\ntest = host=%s port=%s dbname=%s user=%s%s\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%d\n"+
		"unix_socket_dir=\nauth_type=any\npool_mode=transaction\ndefault_pool_size=3\nignore_startup_parameters=extra_float_digits\n",
		upstream.Hostname(), upstream.Port(), strings.TrimPrefix(upstream.Path, "/"), upstream.User.Username(), password, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, config) //nolint:gosec // ended by the cleanup of startUntil
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
	cmd.SysProcAttr = unprivileged(t, dir, config)
	startUntil(t, cmd, "process up")
	return fmt.Sprintf("postgres://any@127.0.0.1:%d/test?sslmode=disable", port)
}

// startUntil starts a program and waits until it logs the words; it is stopped when the test ends.
func startUntil(t testing.TB, cmd *exec.Cmd, words string) {
	t.Helper()
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	var said strings.Builder
	for lines.Scan() && !strings.Contains(lines.Text(), words) {
		said.WriteString(lines.Text() + "\n")
	}
	up := strings.Contains(lines.Text(), words)
	var wg sync.WaitGroup
	wg.Go(func() {
		for lines.Scan() { // a full pipe would stop it
		}
		_ = cmd.Wait()
	})
	t.Cleanup(func() { _ = cmd.Process.Kill(); wg.Wait() })
	if !up {
		t.Fatalf("%s ended before it was up:\n%s", cmd.Path, said.String())
	}
}

// unprivileged lets a program run as nobody: PgBouncer refuses to run as root.
func unprivileged(t testing.TB, paths ...string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("root cannot run PgBouncer, and there is no user nobody")
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	for _, path := range paths {
		if err := os.Chown(path, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}} //nolint:gosec // ids of the machine's own user list
}

// findBouncer gives the program and the folder of its libraries: installed, or unpacked into dir from
// Debian's packages, which the user's cache keeps. Where neither is to be had the test is skipped.
func findBouncer(t testing.TB, dir string) (program, libraries string) {
	t.Helper()
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, ""
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("PgBouncer is not installed and there is no folder to download it to: %v", err)
	}
	cache = filepath.Join(cache, "lari", "pgbouncer")
	if err := os.MkdirAll(cache, 0o750); err != nil {
		t.Skip(err)
	}
	const unpack = `ls pgbouncer_*.deb libc-ares2_*.deb >/dev/null 2>&1 || apt-get download -q pgbouncer libc-ares2 ||
		{ apt-get update -q && apt-get download -q pgbouncer libc-ares2; } || exit
		for p in *.deb; do dpkg -x "$p" "$0" || exit; done; chmod 755 "$0"`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", unpack, dir) //nolint:gosec // the script above, with a folder that this test made
	cmd.Dir = cache
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("PgBouncer is not installed and cannot be downloaded: %v: %s", err, out)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "usr/lib/*/libcares.so.2"))
	if len(found) == 0 {
		t.Skip("Debian's package of PgBouncer is not laid out as expected")
	}
	return filepath.Join(dir, "usr/sbin/pgbouncer"), filepath.Dir(found[0])
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
