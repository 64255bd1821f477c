package devstack

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnfinishedClusters(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files []string // made in the state folder before the start
		says  string
		keeps string
	}{
		"a killed initdb":                {files: []string{"postgres.half/PG_VERSION", "postgres.half/base/1/1259"}},
		"a folder without the mark":      {files: []string{"postgres/PG_VERSION"}, says: "removing a half-made"},
		"somebody's data under our name": {files: []string{"postgres/PG_VERSION", "postgres/postmaster.opts"}, says: "moved to", keeps: "postgres.unfinished/postmaster.opts"},
		"a damaged state file":           {files: []string{"devstack.json"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said lines
			cfg := Config{DataDir: openFolder(t), TemporalAddress: givenTemporal, Out: &said}
			who, err := serverAccount()
			must(t, err)
			for _, file := range test.files {
				path := filepath.Join(cfg.DataDir, file)
				must(t, os.MkdirAll(filepath.Dir(path), 0o750))
				must(t, os.WriteFile(path, []byte("half"), 0o600))
				must(t, who.own(filepath.Join(cfg.DataDir, strings.Split(file, "/")[0])))
			}
			s := start(t, cfg)
			write(t, s.DatabaseURL, "first")
			mustHold(t, s.DatabaseURL, "first")
			if !strings.Contains(said.String(), test.says) {
				t.Errorf("progress lacks %q: %s", test.says, said.String())
			}
			if test.keeps != "" {
				if _, err := os.Stat(filepath.Join(cfg.DataDir, test.keeps)); err != nil {
					t.Errorf("data was not kept: %v", err)
				}
			}
		})
	}
}

func TestLostStateFileCostsNoData(t *testing.T) {
	t.Parallel()
	cfg := lasting(t)
	must(t, os.Remove(filepath.Join(cfg.DataDir, "devstack.json")))
	mustHold(t, start(t, cfg).DatabaseURL, "first")
}

func TestTakenPortMovesOn(t *testing.T) {
	t.Parallel()
	cfg := lasting(t)
	taken := portOf(t, start(t, cfg))
	again := start(t, Config{DataDir: openFolder(t), TemporalAddress: givenTemporal})
	if portOf(t, again) == taken {
		t.Fatal("two clusters on one port")
	}

	cfg = lasting(t)
	s := start(t, cfg)
	remembered := portOf(t, s)
	must(t, s.Close())
	listener, err := net.Listen("tcp4", "127.0.0.1:"+remembered)
	must(t, err)
	defer func() { _ = listener.Close() }()
	var said lines
	cfg.Out = &said
	moved := start(t, cfg)
	mustHold(t, moved.DatabaseURL, "first")
	if portOf(t, moved) == remembered || !strings.Contains(said.String(), "port "+remembered+" is taken") {
		t.Fatalf("port %s, progress %q", portOf(t, moved), said.String())
	}
}

func portOf(t *testing.T, s *Stack) string {
	t.Helper()
	address, err := url.Parse(s.DatabaseURL)
	must(t, err)
	return address.Port()
}

func TestClusterOfAnotherVersion(t *testing.T) {
	t.Parallel()
	cfg := lasting(t)
	must(t, os.WriteFile(filepath.Join(cfg.DataDir, "postgres", "PG_VERSION"), []byte("11\n"), 0o600))
	_, err := Start(t.Context(), cfg)
	mustExplain(t, err, "made by PostgreSQL 11", "install PostgreSQL 11", "move that folder away")
}

func TestRootBorrowsAFolderItsServerCanEnter(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root has folders that the server cannot enter")
	}
	closed := filepath.Join(openFolder(t), "closed")
	must(t, os.Mkdir(closed, 0o700))
	var said lines
	cfg := Config{DataDir: filepath.Join(closed, "state"), TemporalAddress: givenTemporal, Out: &said}
	elsewhere := clusterElsewhere(cfg.DataDir)
	t.Cleanup(func() { _ = os.RemoveAll(elsewhere) })
	s := start(t, cfg)
	write(t, s.DatabaseURL, "first")
	must(t, s.Close())
	mustHold(t, start(t, cfg).DatabaseURL, "first")
	if !strings.Contains(said.String(), elsewhere) {
		t.Fatalf("progress does not name %s: %s", elsewhere, said.String())
	}
}

func TestAnotherUsersClusterIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs chown")
	}
	dir := openFolder(t)
	must(t, os.Mkdir(filepath.Join(dir, "postgres"), 0o700)) // root's
	_, err := Start(t.Context(), Config{DataDir: dir, TemporalAddress: givenTemporal})
	mustExplain(t, err, "belongs to another user")
}
