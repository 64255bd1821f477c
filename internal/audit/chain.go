package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

// Record is a row of the trail.
type Record struct {
	Position     int64           `json:"position" required:"true" description:"Place in the tenant's chain, from 1 on without holes."`
	ID           uuid.UUID       `json:"id" required:"true"`
	TenantID     uuid.UUID       `json:"tenant_id" required:"true"`
	At           clock.Time      `json:"at" required:"true" description:"When it happened."`
	Actor        string          `json:"actor" required:"true" description:"Id of the user or API key, or system."`
	Action       string          `json:"action" required:"true" description:"Operation id of an API call, or what happened to a run." example:"createAgent"`
	ResourceType string          `json:"resource_type" required:"true" example:"agent"`
	ResourceID   string          `json:"resource_id" required:"true" description:"Empty when there is none, or when it was never made."`
	Outcome      string          `json:"outcome" required:"true" description:"success, refused, failure or cancelled."`
	RequestID    string          `json:"request_id" required:"true" description:"The X-Request-Id of the request behind it."`
	ClientIP     string          `json:"client_ip" required:"true" description:"Empty when no client is known."`
	Key          string          `json:"key" required:"true" description:"Names the fact: told twice it is one row."`
	Data         json.RawMessage `json:"data" required:"true" description:"Further facts, an object."`
	PrevHash     Hash            `json:"prev_hash" required:"true" description:"Hash of the row before."`
	Hash         Hash            `json:"hash" required:"true" description:"SHA-256 over this row's facts and prev_hash."`
}

// Hash is a link of the chain: 32 bytes, unless somebody wrote others past the trail's guards. As text it
// is lower-case hexadecimal.
type Hash []byte

// String gives the hexadecimal form.
func (h Hash) String() string { return hex.EncodeToString(h) }

// MarshalText gives the hexadecimal form.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads the hexadecimal form.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode((*h)[:0], text)
	return err
}

// genesis is the prev_hash of every chain's first row.
var genesis = [sha256.Size]byte{}

// version begins what is hashed: another encoding will have another one.
const version = "lari.audit.1"

// preimage appends to b what the record's hash is computed over: its facts as netstrings
// (https://cr.yp.to/proto/netstrings.txt). lari.audit_hash in the database is the other half of this.
func (r *Record) preimage(b []byte) []byte {
	var scratch [64]byte
	b = netstring(b, version)
	b = netstring(b, r.TenantID.String())
	b = netstring(b, strconv.AppendInt(scratch[:0], r.Position, 10))
	b = netstring(b, r.ID.String())
	b = netstring(b, r.At.UTC().AppendFormat(scratch[:0], timeLayout))
	for _, text := range [...]string{
		r.Actor, r.Action, r.ResourceType, r.ResourceID, r.Outcome, r.RequestID, r.ClientIP, r.Key,
	} {
		b = netstring(b, text)
	}
	b = netstring(b, r.Data)
	return netstring(b, hex.AppendEncode(scratch[:0], r.PrevHash[:min(len(r.PrevHash), sha256.Size)]))
}

const timeLayout = "2006-01-02T15:04:05.000Z"

func netstring[T ~string | ~[]byte](b []byte, text T) []byte {
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, ':')
	b = append(b, text...)
	return append(b, ',')
}
