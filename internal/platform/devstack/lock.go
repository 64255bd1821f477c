package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("held by another process")

// fileLock is an flock: the kernel drops it when the holder dies, however it dies. Children do not
// inherit it, since Go opens files close-on-exec.
type fileLock struct{ file *os.File }

// tryLock takes the lock or gives errLocked at once. The file holds the owner's pid, for messages.
func tryLock(path string) (*fileLock, error) {
	// In a shared temporary folder somebody may have put a link where our lock goes.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // a path of our own making
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	// A sweeper may have removed the file between open and flock; a lock on a nameless file guards nothing.
	held, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("stat lock: %w", err)
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(held, named) {
		_ = file.Close()
		return nil, errLocked
	}
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return &fileLock{file: file}, nil
}

// waitLock takes the lock, waiting for whoever holds it; waiting is called once if it has to wait.
func waitLock(ctx context.Context, path string, waiting func()) (*fileLock, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	said := false
	for {
		lock, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return lock, err
		}
		if !said {
			waiting()
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock %s: %w", path, ctx.Err())
		case <-ticker.C:
		}
	}
}

// lockOwner gives the pid written in a lock file, 0 if unreadable.
func lockOwner(path string) int {
	text, err := os.ReadFile(path) //nolint:gosec // a path of our own making
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// release drops the lock; remove also takes the file away, which only a holder may do.
func (l *fileLock) release(remove bool) {
	if remove {
		_ = os.Remove(l.file.Name())
	}
	_ = l.file.Close()
}
