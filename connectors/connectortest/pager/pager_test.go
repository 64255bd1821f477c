// Package pager calls somebody when a run has failed.
package pager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/larirun/lari/connectors"
	"github.com/larirun/lari/internal/event"
)

// Pager posts to an address that knows repeats by their Idempotency-Key.
type Pager struct {
	connectors.Ignore // the hooks that it does not need
	URL               string
}

func (p Pager) Name() string                  { return "pager" }
func (p Pager) Mode() connectors.Mode         { return connectors.Remote }
func (p Pager) Wants(e connectors.Event) bool { return e.Type == event.RunError }

func (p Pager) OnError(ctx context.Context, e connectors.Event) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, strings.NewReader(e.RunID.String()))
	if err != nil {
		return fmt.Errorf("%w: its address is not a URL", connectors.ErrRefused) // never again
	}
	req.Header.Set("Idempotency-Key", e.IdempotencyKey(p.Name()))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errors.New("the pager cannot be reached") // again, later; the cause would show the address
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the pager answered %d", resp.StatusCode)
	}
	return nil
}
