package devstack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestCacheBuildsOnce(t *testing.T) {
	t.Parallel()
	store, out := &cache{dir: openFolder(t)}, newProgress(nil)
	must(t, os.MkdirAll(filepath.Join(store.dir, ".thing-1.half", "left", "behind"), 0o750)) // a killed builder's
	var builds atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			dir, err := store.ensure(t.Context(), out, "thing-1", func(_ context.Context, dir string) error {
				builds.Add(1)
				if len(entries(t, dir)) != 0 {
					t.Error("builds on another's leavings")
				}
				return os.WriteFile(filepath.Join(dir, "program"), nil, 0o600)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(filepath.Join(dir, "program")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if builds.Load() != 1 {
		t.Fatalf("built %d times", builds.Load())
	}
}

func TestCacheKeepsNoFailedBuild(t *testing.T) {
	t.Parallel()
	store, out := &cache{dir: openFolder(t)}, newProgress(nil)
	tests := map[string]struct {
		err   error
		words string
	}{
		"any":        {err: errors.New("broken"), words: ""},
		"disk full":  {err: &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, words: "is full"},
		"permission": {err: &os.PathError{Op: "write", Path: "x", Err: syscall.EACCES}, words: "LARI_CACHE_DIR"},
	}
	for name, test := range tests {
		_, err := store.ensure(t.Context(), out, "thing", func(_ context.Context, dir string) error {
			must(t, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
			return test.err
		})
		if !errors.Is(err, test.err) {
			t.Errorf("%s: got %v", name, err)
		}
		if test.words != "" {
			mustExplain(t, err, test.words)
		}
		if left := entries(t, store.dir); len(left) != 1 || left[0] != ".thing.lock" {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestCacheFolder(t *testing.T) {
	t.Setenv("LARI_CACHE_DIR", "/somewhere/else")
	if dir, err := cacheDir(); err != nil || dir != "/somewhere/else" {
		t.Fatalf("got %q, %v", dir, err)
	}
}

func TestNoGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("LARI_CACHE_DIR", openFolder(t))
	_, err := EnsureGoTool(t.Context(), nil, "example.org/tool/cmd/tool", "v1.2.3")
	mustExplain(t, err, "tool v1.2.3", "there is no Go here")
	_, err = temporalProgram(t.Context(), newProgress(nil), &cache{dir: openFolder(t)})
	mustExplain(t, err, "temporal", "install Go")
}

func TestNoPackages(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := buildDebianServer(t.Context(), newProgress(nil), &cache{dir: openFolder(t)}, account{})
	mustExplain(t, err, "no apt-get", "DATABASE_URL", "postgresql-17-pgvector", "Docker")
}
