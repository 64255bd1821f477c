package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
	"github.com/larirun/lari/internal/platform/scope"
)

// Fault says what is wrong with a link.
type Fault string

// The faults that Verify finds. An attacker who rewrites the whole chain with its head is found by an
// anchor only.
const (
	FaultGap    Fault = "gap"    // no row has the position
	FaultOrder  Fault = "order"  // a second row has the position, or it is below 1
	FaultPrev   Fault = "prev"   // the row does not continue the one before it: either was replaced
	FaultHash   Fault = "hash"   // the row's facts do not give its hash: it was changed
	FaultTail   Fault = "tail"   // the chain ends here, its head says that it goes on
	FaultHead   Fault = "head"   // the head is missing, lies behind the chain, or has another hash than the last row
	FaultAnchor Fault = "anchor" // the row is not the one that the caller or the anchor log knows, or is no longer there
)

// Verdict is what a walk over a tenant's chain found.
type Verdict struct {
	Valid    bool        `json:"valid" required:"true"`
	Checked  int64       `json:"checked" required:"true" description:"Rows that were found to be right, from the first on."`
	Position int64       `json:"position" required:"true" description:"Position of the last right row. Keep it with hash outside of this system: it is the anchor of a later verification."`
	Hash     Hash        `json:"hash" required:"true" description:"Hash of the last right row."`
	Broken   *BrokenLink `json:"broken" required:"true" description:"The first broken link; null when all hold."`
	Anchor   *KnownLink  `json:"anchor" required:"true" description:"The signed anchor outside of the database that the chain was held against; null when there is none."`
}

// BrokenLink is the place where a chain breaks.
type BrokenLink struct {
	Position int64      `json:"position" required:"true" description:"Where the chain breaks."`
	ID       *uuid.UUID `json:"id" required:"true" description:"The row that was found there; null when there is none."`
	Fault    Fault      `json:"fault" required:"true" enum:"gap,order,prev,hash,tail,head,anchor"`
	Detail   string     `json:"detail" required:"true" description:"The fault in a sentence."`
}

// KnownLink is a link that is known from elsewhere: an earlier verdict, an export, an anchor log.
type KnownLink struct {
	Position int64       `json:"position" required:"true" description:"Its position."`
	Hash     Hash        `json:"hash" required:"true" description:"Its hash."`
	At       *clock.Time `json:"at" required:"true" description:"When it was anchored."`
	KeyID    string      `json:"key_id" required:"true" description:"The key that signed it."`

	by string // who knows it
}

// Verify walks the tenant's chain from its first row to its head and stops at the first broken link. It
// reads row by row, whatever the length. known, which may be nil, and the tenant's last anchor must be in the chain.
func (s *Service) Verify(ctx context.Context, known *KnownLink) (Verdict, error) {
	w := walk{last: genesis}
	if known != nil {
		w.known = append(w.known, KnownLink{Position: known.Position, Hash: known.Hash, by: "the caller"})
	}
	anchor, err := s.anchors.latest(scope.Tenant(ctx))
	if err != nil {
		return Verdict{}, err
	}
	var anchored *KnownLink
	if anchor != nil {
		anchored = &KnownLink{Position: anchor.Position, Hash: anchor.Hash, At: &anchor.At, KeyID: anchor.KeyID, by: "the anchor log"}
		w.known = append(w.known, *anchored)
	}
	head, err := s.store.walk(ctx, scope.Tenant(ctx), w.visit)
	if err != nil && !errors.Is(err, errBroken) {
		return Verdict{}, err
	}
	if w.broken == nil {
		w.end(head)
	}
	return Verdict{Valid: w.broken == nil, Checked: w.position, Position: w.position, Hash: w.last[:], Broken: w.broken, Anchor: anchored}, nil
}

// walk is the state of a verification: the last right row, and what is wrong with the next.
type walk struct {
	known    []KnownLink
	position int64
	last     [sha256.Size]byte
	lastID   uuid.UUID
	broken   *BrokenLink
	buf      []byte
}

var errBroken = errors.New("the chain is broken")

func (w *walk) visit(r *Record) error {
	due := w.position + 1
	w.buf = r.preimage(w.buf[:0])
	sum := sha256.Sum256(w.buf)
	other := w.contradicted(due, sum[:])
	switch {
	case r.Position > due:
		w.fail(due, nil, FaultGap, "There is no row at position %d; the next one is at %d.", due, r.Position)
	case r.Position < due:
		w.fail(r.Position, r, FaultOrder, "A row has position %d where %d was due.", r.Position, due)
	case !bytes.Equal(r.PrevHash, w.last[:]):
		w.fail(due, r, FaultPrev, "The row continues one with hash %s, but the one before it has %s.", r.PrevHash, Hash(w.last[:]))
	case !bytes.Equal(r.Hash, sum[:]):
		w.fail(due, r, FaultHash, "The row's facts give the hash %s, but it carries %s.", Hash(sum[:]), r.Hash)
	case other != nil:
		w.fail(due, r, FaultAnchor, "The row has the hash %s, but %s knows %s.", Hash(sum[:]), other.by, other.Hash)
	default:
		w.position, w.last, w.lastID = due, sum, r.ID
		return nil
	}
	return errBroken
}

// contradicted returns what is known of a position, if that is another hash.
func (w *walk) contradicted(position int64, hash []byte) *KnownLink {
	for i, k := range w.known {
		if k.Position == position && !bytes.Equal(k.Hash, hash) {
			return &w.known[i]
		}
	}
	return nil
}

// end compares the end of the chain with what is known of it elsewhere.
func (w *walk) end(h head) {
	next := w.position + 1
	switch {
	case !h.ok && w.position > 0:
		w.fail(w.position, nil, FaultHead, "The chain's head is missing.")
	case h.position > w.position:
		w.fail(next, nil, FaultTail, "The chain ends at position %d, but its head is at %d: rows are missing at the end.", w.position, h.position)
	case h.ok && h.position < w.position:
		w.fail(h.position+1, nil, FaultHead, "The chain's head is at position %d, but rows follow up to %d: it was put back.", h.position, w.position)
	case h.ok && !bytes.Equal(h.hash, w.last[:]):
		w.fail(w.position, &Record{ID: w.lastID}, FaultHead, "The last row has the hash %s, but the chain's head has %s.", Hash(w.last[:]), h.hash)
	}
	for _, k := range w.known {
		if w.broken == nil && k.Position > w.position {
			w.fail(next, nil, FaultAnchor, "The chain ends at position %d, but %s knows position %d: rows are missing at the end.", w.position, k.by, k.Position)
		}
	}
}

func (w *walk) fail(position int64, r *Record, f Fault, format string, args ...any) {
	w.broken = &BrokenLink{Position: position, Fault: f, Detail: fmt.Sprintf(format, args...)}
	if r != nil {
		id := r.ID
		w.broken.ID = &id
	}
}
