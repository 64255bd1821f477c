package tenants

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// ManifestFile is the name of the file that says what an export holds. It is written last: an export without
// it is not whole.
const ManifestFile = "manifest.json"

// exportFormat names the form of an export.
const exportFormat = "lari.tenant-export.1"

// Manifest says what an export holds.
type Manifest struct {
	Format     string            `json:"format"`
	TenantID   string            `json:"tenant_id"`
	Slug       string            `json:"slug"`
	Name       string            `json:"name"`
	DeletionID string            `json:"deletion_id"`
	WrittenAt  clock.Time        `json:"written_at"`
	Tables     []ManifestTable   `json:"tables"`
	LeftOut    map[string]string `json:"left_out"` // tables and columns, and why
}

// ManifestTable is one file of an export: gzipped JSON, one row a line.
type ManifestTable struct {
	Table  string `json:"table"`
	File   string `json:"file"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of the file as it lies there
}

// export writes tables to files until the time is up. A table's file is a sequence of gzip members (RFC 1952
// §2.2), one for each call that worked on it: how many bytes of it count is kept with the place in the table,
// so that the next call goes on behind them whatever a crash has left there. Every file is read back before
// it counts as whole, and nothing is erased before all are.
func (s *Deletions) export(ctx context.Context, d Deletion, until time.Time) error {
	folder := filepath.Join(s.ExportDir, d.TenantID.String(), d.ID.String())
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return exportFault(err)
	}
	whole, err := complete(folder, d)
	if err != nil {
		return exportFault(err)
	}
	if !whole || d.ExportPath != folder { // it begins, or the files of earlier calls lie elsewhere or were removed
		return s.store.restartExport(ctx, d.ID, folder)
	}
	for _, t := range exported() {
		if _, done := d.files[t.name]; done {
			continue
		}
		for {
			if time.Now().After(until) {
				return nil
			}
			done, err := s.exportSlice(ctx, folder, &d, t, until)
			if err != nil {
				return err
			}
			if done {
				break
			}
		}
	}
	return s.finishExport(ctx, folder, d)
}

func exportFault(err error) error {
	return fault.Wrap(err, fault.Internal, "The export cannot be written: look at the workers' LARI_EXPORT_DIR.")
}

func (t table) file() string { return t.name + ".ndjson.gz" }

// complete reports whether the files of earlier calls are all there.
func complete(folder string, d Deletion) (bool, error) {
	for _, t := range exported() {
		want := d.files[t.name].Bytes
		if d.step.Table == t.name {
			want = d.step.Bytes
		}
		if want == 0 {
			continue
		}
		info, err := os.Stat(filepath.Join(folder, t.file()))
		switch {
		case errors.Is(err, os.ErrNotExist):
			return false, nil
		case err != nil:
			return false, err
		case info.Size() < want:
			return false, nil
		}
	}
	return true, nil
}

// exportSlice adds a member to a table's file; done reports that the table is in it.
func (s *Deletions) exportSlice(ctx context.Context, folder string, d *Deletion, t table, until time.Time) (done bool, err error) {
	if d.step.Table != t.name {
		d.step = step{Table: t.name}
	}
	path := filepath.Join(folder, t.file())
	next, done, err := s.writeMember(ctx, path, *d, t, until)
	if err != nil {
		return false, err
	}
	if done {
		file, err := readBack(path)
		var closed *os.PathError
		switch {
		case errors.As(err, &closed):
			return false, exportFault(err)
		case err != nil || file.Rows != next.Rows || file.Bytes != next.Bytes: // two workers at once, or a bad disk: once more
			d.step = step{Table: t.name}
			return false, s.store.putStep(ctx, d.ID, Exporting, d.step)
		}
		if err = s.store.putExported(ctx, d.ID, t.name, file); err != nil {
			return false, err
		}
		d.files[t.name], d.step = file, step{}
		return true, nil
	}
	d.step = next
	return false, s.store.putStep(ctx, d.ID, Exporting, next)
}

func (s *Deletions) writeMember(ctx context.Context, path string, d Deletion, t table, until time.Time) (next step, done bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // G304: the operator names the folder
	if err != nil {
		return next, false, exportFault(err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = exportFault(cerr)
		}
	}()
	if err := f.Truncate(d.step.Bytes); err != nil {
		return next, false, exportFault(err)
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return next, false, exportFault(err)
	}
	next = d.step
	zip := gzip.NewWriter(f)
	columns, err := s.store.exportColumns(ctx, t)
	if err != nil {
		return next, false, err
	}
	for !done && !time.Now().After(until) {
		rows, after, err := s.store.exportPage(ctx, zip, t, columns, d.TenantID, next.After, s.Batch)
		if err != nil {
			return next, false, err
		}
		next.Rows += rows
		if done = after == ""; !done {
			next.After = after
		}
	}
	if err := zip.Close(); err != nil {
		return next, false, exportFault(err)
	}
	if err := f.Sync(); err != nil {
		return next, false, exportFault(err)
	}
	next.Bytes, err = f.Seek(0, io.SeekEnd)
	return next, done, err
}

// readBack reads a whole file as whoever needs it one day will.
func readBack(path string) (file exportFile, err error) {
	f, err := os.Open(path) //nolint:gosec // G304: as above
	if err != nil {
		return file, err
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	counted := io.TeeReader(f, io.MultiWriter(hash, counter{&file.Bytes}))
	zip, err := gzip.NewReader(bufio.NewReaderSize(counted, 1<<16))
	if err != nil {
		return file, err
	}
	if _, err := io.Copy(lineCounter{&file.Rows}, zip); err != nil { //nolint:gosec // G110: this program wrote it
		return file, err
	}
	file.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return file, nil
}

type counter struct{ n *int64 }

func (c counter) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return len(p), nil
}

type lineCounter struct{ n *int64 }

func (c lineCounter) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' {
			*c.n++
		}
	}
	return len(p), nil
}

// finishExport writes the manifest, whole or not at all, and lets the erasing begin.
func (s *Deletions) finishExport(ctx context.Context, folder string, d Deletion) error {
	m := Manifest{
		Format: exportFormat, TenantID: d.TenantID.String(), Slug: d.Slug, Name: d.Name, DeletionID: d.ID.String(), WrittenAt: now(),
		Tables: []ManifestTable{}, LeftOut: map[string]string{},
	}
	for _, t := range tables() {
		if t.unsaid != "" {
			m.LeftOut[t.name] = t.unsaid
			continue
		}
		for _, column := range t.omit {
			m.LeftOut[t.name+"."+column] = "it is a secret's hash"
		}
		file := d.files[t.name]
		m.Tables = append(m.Tables, ManifestTable{Table: t.name, File: t.file(), Rows: file.Rows, Bytes: file.Bytes, SHA256: file.SHA256})
	}
	slices.SortFunc(m.Tables, func(a, b ManifestTable) int { return slices.Compare([]byte(a.Table), []byte(b.Table)) })
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the manifest: %w", err)
	}
	text = append(text, '\n')
	path := filepath.Join(folder, ManifestFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return exportFault(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return exportFault(err)
	}
	sum := sha256.Sum256(text)
	return s.store.finishExport(ctx, d.ID, hex.EncodeToString(sum[:]))
}
