package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/larirun/lari/internal/audit"
)

// anchorPostLimit bounds one post of anchors to the operator's receiver.
const anchorPostLimit = 30 * time.Second

// newAnchors makes what signs and anchors audit logs; nil when there is no key to sign with.
func (a *App) newAnchors() (*audit.Anchors, error) {
	cfg := a.cfg.Audit
	if cfg.SigningKey.Empty() {
		return nil, nil
	}
	signer := audit.NewSigner(cfg.SigningKey.Reveal())
	a.log.Info("anchors of audit logs are signed", slog.String("key_id", signer.KeyID()), slog.String("public_key", signer.PublicKey().String()))
	var file *audit.FileLog
	var others []audit.AnchorLog
	if cfg.AnchorFile != "" && a.options.API {
		var err error
		if file, err = audit.OpenFileLog(cfg.AnchorFile, signer); err != nil {
			return nil, err
		}
	}
	if !cfg.AnchorURL.Empty() {
		others = append(others, newAnchorReceiver(cfg.AnchorURL.Reveal()))
	}
	return audit.NewAnchors(a.DB, signer, file, a.log, others...), nil
}

// runAnchors anchors logs in processes that serve the API: those verify them.
func (a *App) runAnchors(ctx context.Context, group *errgroup.Group) {
	if a.anchors == nil || !a.options.API {
		return
	}
	group.Go(func() error {
		a.anchors.Run(ctx, a.cfg.Audit.AnchorEvery)
		return nil
	})
}

// anchorReceiver posts anchors to the operator's receiver, as the lines that a file would get. A process knows what it has
// posted itself: after a start every head is posted once more.
type anchorReceiver struct {
	url    string
	client *http.Client

	mu     sync.Mutex
	latest map[uuid.UUID]audit.Anchor
}

var _ audit.AnchorLog = (*anchorReceiver)(nil)

func newAnchorReceiver(url string) *anchorReceiver {
	return &anchorReceiver{url: url, latest: map[uuid.UUID]audit.Anchor{}, client: &http.Client{
		Timeout:       anchorPostLimit, // the operator chose the address, so it may be a private one
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Latest implements audit.AnchorLog.
func (r *anchorReceiver) Latest(tenant uuid.UUID) (audit.Anchor, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.latest[tenant]
	return a, ok
}

// Write implements audit.AnchorLog. Whatever the receiver answers but 2xx is an error.
func (r *anchorReceiver) Write(ctx context.Context, anchors []audit.Anchor) error {
	text, err := audit.EncodeAnchors(anchors)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(text))
	if err != nil {
		return errors.New("the address of the anchor receiver cannot be used") // not the cause: the address may hold a secret
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := r.client.Do(req)
	if err != nil {
		return errors.New("the anchor receiver cannot be reached")
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the anchor receiver answered %d", resp.StatusCode)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range anchors {
		r.latest[a.TenantID] = a
	}
	return nil
}
