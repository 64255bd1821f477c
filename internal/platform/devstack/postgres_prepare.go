package devstack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// vectorVersion is the pgvector that is compiled where no package brings one.
const vectorVersion = "0.8.0"

// manifest lies in a finished cache entry and says how to run what is in it, relative to the entry so
// that the whole folder can be renamed.
type manifest struct {
	BinDir   string   `json:"bin_dir"`
	LibDirs  []string `json:"lib_dirs,omitempty"`
	Packages []string `json:"packages"`
}

const manifestName = "lari-manifest.json"

func (m manifest) save(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), text, 0o644); err != nil { //nolint:gosec // not secret
		return fmt.Errorf("save manifest: %w", err)
	}
	return nil
}

// libraries gives the folders of shared libraries of an entry in dir.
func (m manifest) libraries(dir string) []string {
	var found []string
	for _, name := range m.LibDirs {
		found = append(found, filepath.Join(dir, name))
	}
	return found
}

// cachedServer loads a finished entry; false if it does not run here, for instance after an upgrade of
// the system took libraries away.
func cachedServer(ctx context.Context, who account, entry string) (server, bool) {
	text, err := os.ReadFile(filepath.Join(entry, manifestName)) //nolint:gosec // a path of our own making
	if err != nil {
		return server{}, false
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return server{}, false
	}
	s, ok := inspectServer(ctx, who, filepath.Join(entry, m.BinDir), strings.Join(m.libraries(entry), ":"))
	s.origin = "prepared in " + entry
	return s, ok
}

// prepareServer finds Postgres with pgvector or makes it, in the order of the package comment. The error
// names every way to go on.
func prepareServer(ctx context.Context, out *progress, store *cache, who account, wanted int) (server, error) {
	if s, ok := findServer(ctx, who, wanted); ok && (wanted == 0 || s.major == wanted) {
		return s, nil
	}
	entries, err := filepath.Glob(filepath.Join(store.dir, "postgres-*"))
	if err != nil {
		entries = nil
	}
	slices.Reverse(entries)
	var cached []server
	for _, entry := range entries {
		if s, ok := cachedServer(ctx, who, entry); ok {
			cached = append(cached, s)
		}
	}
	if s, ok := preferMajor(cached, wanted); ok && (wanted == 0 || s.major == wanted) {
		return s, nil
	}
	if s, ok := findServer(ctx, who, wanted); ok {
		return s, nil // of another version than the cluster: the caller explains
	}
	if !who.canEnter(store.dir) {
		return server{}, trouble(nil, "The cache folder %s cannot be entered by %s, who runs Postgres: set LARI_CACHE_DIR to a folder open to all.", store.dir, who.name)
	}
	return buildDebianServer(ctx, out, store, who)
}
