package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

const signingSecret = "a secret of the tests, 32 bytes or more"

// anchored is a service whose heads are anchored in a file.
type anchored struct {
	*audit.Service
	anchors *audit.Anchors
	path    string
}

func openAnchored(t *testing.T, db *pgtest.Database, path string, others ...audit.AnchorLog) anchored {
	t.Helper()
	signer := audit.NewSigner(signingSecret)
	file, err := audit.OpenFileLog(path, signer)
	if err != nil {
		t.Fatal(err)
	}
	anchors := audit.NewAnchors(db.DB, signer, file, slog.New(slog.DiscardHandler), others...)
	s := audit.NewService(db.DB, &counter{}, anchors, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.RunAppender(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return anchored{s, anchors, path}
}

func (a anchored) pass(t *testing.T) {
	t.Helper()
	if err := a.anchors.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func readAnchors(t *testing.T, r io.Reader) (found []audit.Anchor) {
	t.Helper()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var a audit.Anchor
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		found = append(found, a)
	}
	return found
}

func readFile(t *testing.T, path string) []audit.Anchor {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return readAnchors(t, bytes.NewReader(text))
}

// rewriteAll changes a row and makes everything behind it fit again, the head too, as an attacker with the database can.
const rewriteAll = `do $$
declare l public.audit_logs; before bytea := decode(repeat('00', 32), 'hex');
begin
	for l in select * from public.audit_logs order by position loop
		if l.position = 2 then l.actor := 'eve'; end if;
		l.prev_hash := before;
		l.hash := lari.audit_hash(l);
		before := l.hash;
		update public.audit_logs set actor = l.actor, prev_hash = l.prev_hash, hash = l.hash where id = l.id;
		update public.audit_heads set hash = l.hash where position = l.position;
	end loop;
end $$`

// TestAnchors_ShowWhatTheDatabaseNoLongerKnows rewrites a whole chain with its head, which holds by itself.
func TestAnchors_ShowWhatTheDatabaseNoLongerKnows(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string][]string{
		"rewritten": {rewriteAll},
		"cut off":   {`delete from audit_logs where position > 3`, `update audit_heads set (position, hash) = (select position, hash from audit_logs where position = 3)`},
		"erased":    {`delete from audit_logs`, `delete from audit_heads`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgtest.New(t)
			s := openAnchored(t, db, filepath.Join(t.TempDir(), "anchors.ndjson"))
			ctx, _ := db.Tenant(t, "acme")
			fill(ctx, t, s.Service, 1, 5)
			s.pass(t)
			s.pass(t) // nothing moved: nothing is written
			v := verify(ctx, t, s.Service)
			if lines := readFile(t, s.path); len(lines) != 1 || !v.Valid || v.Anchor == nil || v.Anchor.Position != 5 || v.Anchor.KeyID != lines[0].KeyID {
				t.Fatalf("%d lines, judged %+v", len(lines), v)
			}
			behind(t, db, tamper...)
			fill(ctx, t, s.Service, 6, 12)
			plain, _ := open(t, db.DB)
			if v := verify(ctx, t, plain); !v.Valid {
				t.Fatalf("without an anchor: %+v", v.Broken)
			}
			if err := s.anchors.Pass(t.Context()); err == nil || !strings.Contains(err.Error(), "no longer holds") {
				t.Errorf("a log that contradicts its anchor is anchored again: %v", err)
			}
			// Another process, which has the file alone.
			for _, s := range []anchored{s, openAnchored(t, db, s.path)} {
				if v := verify(ctx, t, s.Service); v.Valid || v.Broken.Fault != audit.FaultAnchor || v.Broken.Position != 5 {
					t.Errorf("judged %+v, broken %+v", v, v.Broken)
				}
			}
		})
	}
}

// TestAnchors_AreVerifiedWithThePublicKeyAlone reads the lines as an outsider does, by docs/audit.md.
func TestAnchors_AreVerifiedWithThePublicKeyAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	copied := &copyLog{}
	s := openAnchored(t, db, filepath.Join(t.TempDir(), "anchors.ndjson"), copied)
	for _, slug := range []string{"one", "two", "three"} {
		ctx, _ := db.Tenant(t, slug)
		fill(ctx, t, s.Service, 1, 2)
	}
	copied.away = true
	if err := s.anchors.Pass(t.Context()); err == nil {
		t.Error("a log that is away is no error")
	}
	copied.away = false
	s.pass(t) // what the other log has not got is written; the file has it
	lines := readFile(t, s.path)
	if len(lines) != 3 || len(copied.lines) != 3 {
		t.Fatalf("the file has %d lines, the other log %d, want 3 each", len(lines), len(copied.lines))
	}
	netstrings := func(texts ...string) (b []byte) {
		for _, text := range texts {
			b = append(b, strings.Join([]string{itoa(len(text)), ":", text, ","}, "")...)
		}
		return b
	}
	for _, a := range append(lines, copied.lines...) {
		signed := netstrings("lari.anchor.1", "head", a.TenantID.String(), "2", a.Hash.String(), a.At.UTC().Format("2006-01-02T15:04:05.000Z"), "")
		if !ed25519.Verify(ed25519.PublicKey(a.PublicKey), signed, a.Signature) {
			t.Errorf("the signature of %+v is wrong", a)
		}
		signed[len(signed)-10] ^= 1
		if ed25519.Verify(ed25519.PublicKey(a.PublicKey), signed, a.Signature) {
			t.Errorf("the signature of %+v holds for another text", a)
		}
	}
}

// TestFileLog_RefusesWhatItDidNotWrite forges, changes and cuts the file.
func TestFileLog_RefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	signer := audit.NewSigner(signingSecret)
	good := signer.Sign(audit.Anchor{Kind: audit.KindHead, TenantID: uuid.New(), Position: 7, Hash: make([]byte, 32)})
	path := filepath.Join(t.TempDir(), "anchors.ndjson")
	l, err := audit.OpenFileLog(path, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), []audit.Anchor{good}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file may be read by others: %v %v", info.Mode(), err)
	}
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"as it was":             {string(text), true},
		"another process's":     {string(text) + string(text), true},
		"half a line":           {string(text) + `{"kind":`, true},
		"another key's":         {strings.ReplaceAll(string(text), good.KeyID, "0123456789abcdef"), true},
		"another position":      {strings.Replace(string(text), `"position":7`, `"position":9`, 1), false},
		"another tenant":        {strings.Replace(string(text), good.TenantID.String(), uuid.NewString(), 1), false},
		"a tombstone of a head": {strings.Replace(string(text), `"head"`, `"tombstone"`, 1), false},
		"no anchor":             {"x\n", false},
	} {
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.OpenFileLog(other, signer); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := l.Refresh(); err == nil {
		t.Error("a file that was emptied is read")
	}
}

// copyLog is another log, which may be away.
type copyLog struct {
	away  bool
	lines []audit.Anchor
}

func (l *copyLog) Write(_ context.Context, anchors []audit.Anchor) error {
	if l.away {
		return errors.New("away")
	}
	l.lines = append(l.lines, anchors...)
	return nil
}

func (l *copyLog) Latest(tenant uuid.UUID) (audit.Anchor, bool) {
	for _, a := range l.lines {
		if a.TenantID == tenant {
			return a, true
		}
	}
	return audit.Anchor{}, false
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}
