package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the system user that runs Postgres. Postgres refuses root, so root lends it another one.
type account struct {
	name     string
	uid, gid uint32
	borrowed bool // differs from ours: children need a credential, folders a chown
}

// serverAccount gives ourselves, or for root the user `postgres`, else `nobody`.
func serverAccount() (account, error) {
	uid := os.Geteuid()
	if uid != 0 {
		return account{name: "uid " + strconv.Itoa(uid), uid: uint32(uid), gid: uint32(os.Getegid())}, nil //nolint:gosec // ids are 32 bits wide
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{name: name, uid: uint32(uid), gid: uint32(gid), borrowed: true}, nil
		}
	}
	return account{}, trouble(nil, "Postgres does not run as root and there is no user `postgres` or `nobody`: add one (useradd --system postgres) or run as a normal user.")
}

// credential is what a child needs to run as the account; nil when it is ours.
func (a account) credential() *syscall.Credential {
	if !a.borrowed {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// own makes a file or folder the account's.
func (a account) own(path string) error {
	if !a.borrowed {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, a.name, err)
	}
	return nil
}

// canEnter reports whether the account may pass through every folder down to path. Folders that do not
// exist yet count as ours to make.
func (a account) canEnter(path string) bool {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
		if err == nil && !a.mayPass(info) {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func (a account) mayPass(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return false
	case owner.Uid == a.uid:
		return mode&0o100 != 0
	case owner.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// makeOpenFolder makes a folder and its missing parents, enterable by everyone whatever the umask: the
// account that runs Postgres has to pass through.
func makeOpenFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := makeOpenFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // on purpose; secrets inside are 0600
		return fmt.Errorf("open folder: %w", err)
	}
	return nil
}

// ownerOf gives the uid of a file's owner.
func ownerOf(path string) (uint32, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("owner of %s: %w", path, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("owner of %s: unknown on this system", path)
	}
	return owner.Uid, nil
}

// isNamelessUser recognises, in a child's words, a user id without a name: containers started with a bare
// number have one.
func isNamelessUser(words string) bool {
	return strings.Contains(words, "could not look up effective user ID") || strings.Contains(words, "unknown userid")
}

func namelessUser(err error) error {
	return trouble(err, "The user id %d has no name here, which Postgres and Temporal's server demand: add it to /etc/passwd, run as a named user, "+
		"or set DATABASE_URL and TEMPORAL_ADDRESS.", os.Geteuid())
}

// cause gives the innermost reason of a file error, without the path that the sentence already names.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
