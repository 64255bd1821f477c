package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"

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
	FaultAnchor Fault = "anchor" // the row is not the one that the caller knows, or is no longer there
)

// Verdict is what a walk over a tenant's chain found.
type Verdict struct {
	Valid    bool        `json:"valid" required:"true"`
	Checked  int64       `json:"checked" required:"true" description:"Rows that were found to be right, from the first on."`
	Position int64       `json:"position" required:"true" description:"Position of the last right row. Keep it with hash outside of this system: it is the anchor of a later verification."`
	Hash     Hash        `json:"hash" required:"true" description:"Hash of the last right row."`
	Broken   *BrokenLink `json:"broken" required:"true" description:"The first broken link; null when all hold."`
}

// BrokenLink is the place where a chain breaks.
type BrokenLink struct {
	Position int64      `json:"position" required:"true" description:"Where the chain breaks."`
	ID       *uuid.UUID `json:"id" required:"true" description:"The row that was found there; null when there is none."`
	Fault    Fault      `json:"fault" required:"true" enum:"gap,order,prev,hash,tail,head,anchor"`
	Detail   string     `json:"detail" required:"true" description:"The fault in a sentence."`
}

// Anchor is a link that the caller knows from an earlier verdict or export.
type Anchor struct {
	Position int64
	Hash     Hash
}

// Verify walks the tenant's chain from its first row to its head and stops at the first broken link. It
// reads row by row, whatever the length. anchor may be nil.
func (s *Service) Verify(ctx context.Context, anchor *Anchor) (Verdict, error) {
	w := walk{anchor: anchor, last: genesis}
	head, err := s.store.walk(ctx, scope.Tenant(ctx), w.visit)
	if err != nil && !errors.Is(err, errBroken) {
		return Verdict{}, err
	}
	if w.broken == nil {
		w.end(head)
	}
	return Verdict{Valid: w.broken == nil, Checked: w.position, Position: w.position, Hash: w.last[:], Broken: w.broken}, nil
}

// walk is the state of a verification: the last right row, and what is wrong with the next.
type walk struct {
	anchor   *Anchor
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
	switch {
	case r.Position > due:
		w.fail(due, nil, FaultGap, "There is no row at position %d; the next one is at %d.", due, r.Position)
	case r.Position < due:
		w.fail(r.Position, r, FaultOrder, "A row has position %d where %d was due.", r.Position, due)
	case !bytes.Equal(r.PrevHash, w.last[:]):
		w.fail(due, r, FaultPrev, "The row continues one with hash %s, but the one before it has %s.", r.PrevHash, Hash(w.last[:]))
	case !bytes.Equal(r.Hash, sum[:]):
		w.fail(due, r, FaultHash, "The row's facts give the hash %s, but it carries %s.", Hash(sum[:]), r.Hash)
	case w.anchor != nil && w.anchor.Position == due && !bytes.Equal(w.anchor.Hash, sum[:]):
		w.fail(due, r, FaultAnchor, "The row has the hash %s, but the caller knows %s.", Hash(sum[:]), w.anchor.Hash)
	default:
		w.position, w.last, w.lastID = due, sum, r.ID
		return nil
	}
	return errBroken
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
	case w.anchor != nil && w.anchor.Position > w.position:
		w.fail(next, nil, FaultAnchor, "The chain ends at position %d, but the caller knows position %d: rows are missing at the end.", w.position, w.anchor.Position)
	}
}

func (w *walk) fail(position int64, r *Record, f Fault, format string, args ...any) {
	w.broken = &BrokenLink{Position: position, Fault: f, Detail: fmt.Sprintf(format, args...)}
	if r != nil {
		id := r.ID
		w.broken.ID = &id
	}
}
