package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// rootCache is where root keeps built things: root's own home is closed to the unprivileged user that
// runs Postgres.
const rootCache = "/var/cache/lari"

// cache is the folder of built things, shared between checkouts and processes.
type cache struct{ dir string }

// openCache gives LARI_CACHE_DIR, else /var/cache/lari for root, else the user's cache folder.
func openCache() (*cache, error) {
	dir, err := cacheDir()
	if err != nil {
		return nil, err
	}
	if err := makeOpenFolder(dir); err != nil {
		return nil, trouble(err, "The cache folder %s cannot be made (%v): set LARI_CACHE_DIR to a folder you can write.", dir, cause(err))
	}
	return &cache{dir: dir}, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv("LARI_CACHE_DIR"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("cache folder: %w", err)
		}
		return abs, nil
	}
	if os.Geteuid() == 0 {
		return rootCache, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", trouble(err, "There is no cache folder for this user (%v): set HOME or LARI_CACHE_DIR.", err)
	}
	return filepath.Join(base, "lari"), nil
}

// path gives the finished entry, and whether it exists.
func (c *cache) path(key string) (string, bool) {
	dir := filepath.Join(c.dir, key)
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}

// ensure gives the folder of an entry, building it if it is absent. build writes into a folder beside the
// final name, so one rename makes the entry; a process that dies half-way leaves a folder that the next
// builder removes.
func (c *cache) ensure(ctx context.Context, out *progress, key string, build func(ctx context.Context, dir string) error) (string, error) {
	dir, ok := c.path(key)
	if ok {
		return dir, nil
	}
	lock, err := waitLock(ctx, filepath.Join(c.dir, "."+key+".lock"), func() {
		out.line("another process is preparing %s; waiting for it", key)
	})
	if err != nil {
		return "", c.explain(err)
	}
	defer lock.release(false)
	if _, ok := c.path(key); ok {
		return dir, nil
	}
	half := filepath.Join(c.dir, "."+key+".half")
	if err := os.RemoveAll(half); err != nil {
		return "", c.explain(err)
	}
	if err := makeOpenFolder(half); err != nil {
		return "", c.explain(err)
	}
	defer func() { _ = os.RemoveAll(half) }()
	if err := build(ctx, half); err != nil {
		return "", c.explain(err)
	}
	if err := os.Rename(half, dir); err != nil {
		return "", c.explain(err)
	}
	return dir, nil
}

// explain turns the two ways a cache fails by itself into sentences.
func (c *cache) explain(err error) error {
	var known *Trouble
	switch {
	case errors.As(err, &known):
		return err
	case isDiskFull(err):
		return trouble(err, "The disk of the cache folder %s is full: free about 1 GB there or set LARI_CACHE_DIR to another disk.", c.dir)
	case errors.Is(err, fs.ErrPermission):
		return trouble(err, "The cache folder %s cannot be written (%v): set LARI_CACHE_DIR to a folder you can write.", c.dir, cause(err))
	default:
		return err
	}
}
