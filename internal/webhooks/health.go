package webhooks

import (
	"context"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/fault"
)

// Target gives what the sender needs; fault.NotFound when there is no such endpoint. A deleted or
// disabled one says so in Disabled.
func (s *Service) Target(ctx context.Context, id uuid.UUID) (Target, error) {
	return s.store.anyTarget(ctx, id)
}

// Succeeded notes that the receiver took a delivery. It costs a statement only after a failure.
func (s *Service) Succeeded(ctx context.Context, t Target) {
	if t.FailingSince == nil {
		return
	}
	if err := s.store.recover(ctx, t.ID); err != nil {
		s.Logger.WarnContext(ctx, "the success of an endpoint was not noted", "endpoint_id", t.ID, "error", err)
	}
}

// Failed notes that an attempt failed, and disables an endpoint that has failed for too long. Between the
// first failure and that moment it costs nothing.
func (s *Service) Failed(ctx context.Context, t Target) {
	now := clock.Now()
	var err error
	switch {
	case t.FailingSince == nil:
		err = s.store.begin(ctx, t.ID, now)
	case now.Sub(*t.FailingSince) >= s.FailingFor:
		err = s.disable(ctx, t.ID, now, "It has failed since "+t.FailingSince.Format("2006-01-02 15:04 UTC")+" without a success.")
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "the failure of an endpoint was not noted", "endpoint_id", t.ID, "error", err)
	}
}

// Gone disables an endpoint whose receiver wants nothing any more (410).
func (s *Service) Gone(ctx context.Context, t Target) {
	if err := s.disable(ctx, t.ID, clock.Now(), "The receiver answered 410 Gone."); err != nil {
		s.Logger.WarnContext(ctx, "an endpoint that is gone was not disabled", "endpoint_id", t.ID, "error", err)
	}
}

// disable writes the state once its audit entry is written. An endpoint that is disabled already stays
// as it is.
func (s *Service) disable(ctx context.Context, id uuid.UUID, at clock.Time, reason string) error {
	return s.DB.Tx(ctx, func(ctx context.Context) error {
		changed, err := s.store.disable(ctx, id, at, reason)
		if err != nil || !changed {
			return err
		}
		return s.Auditor.EndpointDisabled(ctx, id, at, reason)
	})
}

// checkForm refuses what would not reach a receiver as it was written.
func checkForm(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fault.InvalidField("url", "url", "cannot be read as a URL")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		return fault.InvalidField("url", "fragment", "must not have a fragment: it is never sent")
	}
	return nil
}
