package app

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/audit"
)

// TestAnchorReceiver_GetsSignedLines posts to a receiver that refuses at first, and reads what it got as one that trusts the key.
func TestAnchorReceiver_GetsSignedLines(t *testing.T) {
	t.Parallel()
	signer := audit.NewSigner("a secret of the tests, 32 bytes or more")
	statuses := []int{http.StatusServiceUnavailable, http.StatusFound, http.StatusNoContent}
	var got []audit.Anchor
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := statuses[0]
		statuses = statuses[1:]
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		if kind := r.Header.Get("Content-Type"); r.Method != http.MethodPost || kind != "application/x-ndjson" {
			t.Errorf("%s of %s", r.Method, kind)
		}
		for lines := bufio.NewScanner(r.Body); status == http.StatusNoContent && lines.Scan(); {
			var a audit.Anchor
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil || !signer.Verify(a) {
				t.Errorf("%s is not signed (%v)", lines.Bytes(), err)
			}
			got = append(got, a)
		}
	}))
	t.Cleanup(server.Close)
	receiver := newAnchorReceiver(server.URL)
	t.Cleanup(receiver.client.CloseIdleConnections)
	a := signer.Sign(audit.Anchor{Kind: audit.KindHead, TenantID: uuid.New(), Position: 3, Hash: make([]byte, 32)})
	for range 2 {
		if err := receiver.Write(t.Context(), []audit.Anchor{a}); err == nil {
			t.Error("a refusal is taken for a success")
		}
		if _, known := receiver.Latest(a.TenantID); known {
			t.Error("what was refused counts as written")
		}
	}
	if err := receiver.Write(t.Context(), []audit.Anchor{a}); err != nil {
		t.Error(err)
	}
	if known, ok := receiver.Latest(a.TenantID); !ok || known.Position != 3 || len(got) != 1 || got[0].TenantID != a.TenantID {
		t.Errorf("known: %+v %v; the receiver got %+v", known, ok, got)
	}
}
