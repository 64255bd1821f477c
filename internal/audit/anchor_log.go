package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/google/uuid"
)

// AnchorLog is a place outside of the database that takes anchors.
type AnchorLog interface {
	// Write adds anchors, all or an error. One may come twice.
	Write(ctx context.Context, anchors []Anchor) error
	// Latest returns the last anchor that was written for a tenant; false when none is known.
	Latest(tenant uuid.UUID) (Anchor, bool)
}

// FileLog is a file that anchors are appended to, one JSON object a line. It remembers the last anchor of each tenant.
type FileLog struct {
	path   string
	signer *Signer

	mu     sync.Mutex
	read   int64 // bytes of the file that are in latest
	latest map[uuid.UUID]Anchor
}

// OpenFileLog reads the file, which may not exist yet. A line that is not an anchor, or has the name of our key and not its
// signature, is an error: somebody wrote to the file. Lines of other keys are left alone.
func OpenFileLog(path string, signer *Signer) (*FileLog, error) {
	l := &FileLog{path: path, signer: signer, latest: map[uuid.UUID]Anchor{}}
	return l, l.Refresh()
}

// Refresh reads what other processes have appended.
func (l *FileLog) Refresh() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) && l.read == 0 {
		return nil
	} else if err != nil {
		return fmt.Errorf("read the anchor log: %w", err)
	}
	defer func() { _ = f.Close() }()
	if at, err := f.Seek(0, io.SeekEnd); err != nil || at < l.read {
		return errors.Join(fmt.Errorf("the anchor log %s has become shorter", l.path), err)
	}
	if _, err := f.Seek(l.read, io.SeekStart); err != nil {
		return fmt.Errorf("read the anchor log: %w", err)
	}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // what has no end yet is still being written
			return nil
		} else if err != nil {
			return fmt.Errorf("read the anchor log: %w", err)
		}
		var a Anchor
		if err := json.Unmarshal(line, &a); err != nil {
			return fmt.Errorf("the anchor log %s holds a line at byte %d that is no anchor: %w", l.path, l.read, err)
		}
		if a.KeyID == l.signer.KeyID() {
			if !l.signer.Verify(a) {
				return fmt.Errorf("the anchor log %s holds a line at byte %d whose signature is wrong", l.path, l.read)
			}
			if known, ok := l.latest[a.TenantID]; !ok || a.Position >= known.Position {
				l.latest[a.TenantID] = a
			}
		}
		l.read += int64(len(line))
	}
}

// Latest implements AnchorLog.
func (l *FileLog) Latest(tenant uuid.UUID) (Anchor, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.latest[tenant]
	return a, ok
}

// Write implements AnchorLog. What it wrote is on the disk when it returns.
func (l *FileLog) Write(_ context.Context, anchors []Anchor) error {
	text, err := EncodeAnchors(anchors)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the anchor log: %w", err)
	}
	_, err = f.Write(text) // one write: processes that share the file do not mix their lines
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write the anchor log: %w", err)
	}
	return l.Refresh()
}

// EncodeAnchors returns anchors as lines of JSON.
func EncodeAnchors(anchors []Anchor) ([]byte, error) {
	var b bytes.Buffer
	for _, a := range anchors {
		line, err := json.Marshal(a)
		if err != nil {
			return nil, fmt.Errorf("encode an anchor: %w", err)
		}
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}
