package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

// Kind says what an anchor is about.
type Kind string

// The kinds of anchors.
const (
	KindHead      Kind = "head"      // where a tenant's log stood
	KindTombstone Kind = "tombstone" // where the log of a tenant that was erased ended
)

// Anchor is a signed statement about a tenant's log, one line of an anchor log. Whoever holds it can prove later that the
// log did not hold that row, or that it was erased.
type Anchor struct {
	Kind       Kind       `json:"kind"`
	TenantID   uuid.UUID  `json:"tenant_id"`
	Position   int64      `json:"position"`
	Hash       Hash       `json:"hash"`
	At         clock.Time `json:"at"`
	DeletionID *uuid.UUID `json:"deletion_id,omitempty"` // of a tombstone
	KeyID      string     `json:"key_id"`
	PublicKey  Hash       `json:"public_key"`
	Signature  Hash       `json:"signature"`
}

// anchorVersion begins what is signed.
const anchorVersion = "lari.anchor.1"

// preimage returns what is signed: the facts as netstrings, in the order of the fields, without the key.
func (a Anchor) preimage() []byte {
	b := netstring(nil, anchorVersion)
	b = netstring(b, a.Kind)
	b = netstring(b, a.TenantID.String())
	b = netstring(b, strconv.FormatInt(a.Position, 10))
	b = netstring(b, a.Hash.String())
	b = netstring(b, a.At.UTC().Format(timeLayout))
	deletion := ""
	if a.DeletionID != nil {
		deletion = a.DeletionID.String()
	}
	return netstring(b, deletion)
}

// Signer signs anchors with Ed25519 (RFC 8032).
type Signer struct {
	private ed25519.PrivateKey
	keyID   string
}

// NewSigner makes the key from a secret of 32 bytes or more: its seed is SHA-256 over the netstrings "lari.audit.key.1" and
// the secret. The same secret gives the same key everywhere.
func NewSigner(secret string) *Signer {
	seed := sha256.Sum256(netstring(netstring(nil, "lari.audit.key.1"), secret))
	s := &Signer{private: ed25519.NewKeyFromSeed(seed[:])}
	sum := sha256.Sum256(s.public())
	s.keyID = hex.EncodeToString(sum[:8])
	return s
}

// PublicKey returns the half of the key that verifies.
func (s *Signer) PublicKey() Hash { return Hash(s.public()) }

func (s *Signer) public() ed25519.PublicKey {
	key, _ := s.private.Public().(ed25519.PublicKey)
	return key
}

// KeyID returns the name of the key: the first 16 digits of the SHA-256 of its public half.
func (s *Signer) KeyID() string { return s.keyID }

// Sign completes an anchor.
func (s *Signer) Sign(a Anchor) Anchor {
	a.KeyID, a.PublicKey = s.keyID, s.PublicKey()
	a.Signature = ed25519.Sign(s.private, a.preimage())
	return a
}

// Verify reports whether the signer's own key signed the anchor.
func (s *Signer) Verify(a Anchor) bool {
	return a.KeyID == s.keyID && ed25519.Verify(s.public(), a.preimage(), a.Signature)
}
