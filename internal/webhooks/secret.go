package webhooks

import (
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

const (
	secretPrefix = "whsec_"
	secretBytes  = 32 // Standard Webhooks: 24 to 64

	// MaxSecrets is how many secrets of an endpoint may sign at a time.
	MaxSecrets = 4
	// DefaultOverlap is how long a replaced secret goes on signing beside the new one.
	DefaultOverlap = 24 * time.Hour
	// MaxOverlap is the longest that it may.
	MaxOverlap = 7 * 24 * time.Hour
)

// Secret is what is shown of a secret.
type Secret struct {
	ID        uuid.UUID   `json:"id"`
	CreatedAt clock.Time  `json:"created_at"`
	ExpiresAt *clock.Time `json:"expires_at" description:"Until when it signs beside a newer one; null: the current secret."`
}

// Rotation asks for a new secret.
type Rotation struct {
	ID             uuid.UUID `json:"-"` // of the new secret, for idempotency; zero: a new one
	OverlapSeconds *int      `json:"overlap_seconds,omitempty" validate:"omitempty,min=0,max=604800" description:"How long the old secret goes on signing beside the new one. Default: 86400; 0: it ends at once."`
}

func (r Rotation) overlap() time.Duration {
	if r.OverlapSeconds == nil {
		return DefaultOverlap
	}
	return min(max(time.Duration(*r.OverlapSeconds)*time.Second, 0), MaxOverlap)
}

// newSecret makes a secret in the form that Standard Webhooks prescribes.
func newSecret() string {
	var key [secretBytes]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}
