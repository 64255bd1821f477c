package tenants

import (
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/clock"
)

// Phase is how far a deletion has come.
type Phase string

// The phases of a deletion, in order.
const (
	Waiting   Phase = "waiting"   // its grace period: it can be cancelled, nothing has been touched
	Stopping  Phase = "stopping"  // schedules are removed, runs are cancelled, workflows ended
	Exporting Phase = "exporting" // rows are written to files
	Erasing   Phase = "erasing"   // rows are removed
	Completed Phase = "completed" // nothing of the tenant is left but this record
	Cancelled Phase = "cancelled" // the tenant is what it was before
)

// Over reports whether nothing more will happen.
func (p Phase) Over() bool { return p == Completed || p == Cancelled }

// Deletion is the deletion of a tenant. It outlives the tenant.
type Deletion struct {
	ID             uuid.UUID    `json:"id" description:"Id of the deletion."`
	TenantID       uuid.UUID    `json:"tenant_id" description:"The tenant that is or was deleted."`
	Slug           string       `json:"slug" description:"Its slug, which is free again when the deletion is completed."`
	Name           string       `json:"name" description:"Its name."`
	Phase          Phase        `json:"phase" enum:"waiting,stopping,exporting,erasing,completed,cancelled" description:"How far it has come. It can be cancelled while it is waiting."`
	Reason         string       `json:"reason" description:"Why it was asked for."`
	RequestedBy    string       `json:"requested_by" description:"Who asked for it."`
	RequestedAt    clock.Time   `json:"requested_at" description:"When it was asked for."`
	EraseAt        clock.Time   `json:"erase_at" description:"When the grace period ends."`
	CancelledBy    *string      `json:"cancelled_by" description:"Who cancelled it; null: nobody."`
	CancelledAt    *clock.Time  `json:"cancelled_at" description:"When it was cancelled."`
	BeganAt        *clock.Time  `json:"began_at" description:"When it began, after the grace period."`
	FinishedAt     *clock.Time  `json:"finished_at" description:"When nothing was left."`
	Export         bool         `json:"export" description:"Rows are written to files before they are erased."`
	ExportPath     string       `json:"export_path" description:"The folder of the export on the workers' disk; empty: there is none."`
	ManifestSHA256 string       `json:"manifest_sha256" description:"SHA-256 of the export's manifest.json, once it is whole."`
	Tables         []TableCount `json:"tables" nullable:"false" description:"What was done to each table so far, in the order of erasing."`
	RowsExported   int64        `json:"rows_exported" description:"Rows in the export so far."`
	RowsErased     int64        `json:"rows_erased" description:"Rows that were erased so far; those that go with their parent are not counted."`
	Error          string       `json:"error" description:"Why the last attempt to go on failed; empty: it did not. It is tried again."`
	Audit          *AuditEnd    `json:"audit" description:"Where the tenant's audit trail ended; null before it is erased."`

	step   step
	files  map[string]exportFile
	erased map[string]int64
}

// Location is where the deletion is found.
func (d Deletion) Location() string { return "/v1/tenants/" + d.TenantID.String() + "/deletion" }

// TableCount is what a deletion did to one table.
type TableCount struct {
	Table    string `json:"table" description:"Name of the table."`
	Exported int64  `json:"exported" description:"Rows in the export."`
	Erased   int64  `json:"erased" description:"Rows that were erased."`
}

// AuditEnd is the last link of an audit trail. The export holds the rows before it.
type AuditEnd struct {
	Position int64  `json:"position" description:"Position of the last row."`
	Hash     string `json:"hash" description:"Its hash, in hexadecimal."`
	// The tombstone; see docs/audit.md.
	ErasedAt  *clock.Time `json:"erased_at" description:"When the log was erased; null for one that was erased by an earlier version."`
	KeyID     *string     `json:"key_id" description:"The key that signed the tombstone; null while it is not signed."`
	Signature *string     `json:"signature" description:"Its Ed25519 signature, in hexadecimal."`
}

// DeletionRequest asks for the deletion of a tenant.
type DeletionRequest struct {
	Reason string
	Export bool
	Grace  time.Duration // until it begins
}

// Step is how far one attempt to go on with a deletion came.
type Step struct {
	Over  bool          `json:"over"`
	Pause time.Duration `json:"pause"` // before the next attempt
}

// step is where a deletion stands within its phase, so that whoever goes on need not begin again.
type step struct {
	Table   string `json:"table,omitempty"`
	After   string `json:"after,omitempty"`   // key of the last row, or of the last parent, that is done
	Rows    int64  `json:"rows,omitempty"`    // of the table, in the file so far
	Bytes   int64  `json:"bytes,omitempty"`   // of the file that count
	Removed int64  `json:"removed,omitempty"` // rows of this pass over all tables
}

// exportFile is a table's file, once it is whole.
type exportFile struct {
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (d *Deletion) count() {
	d.Tables = []TableCount{}
	for _, t := range tables() {
		rows := d.files[t.name].Rows
		if d.Phase == Exporting && d.step.Table == t.name {
			rows = d.step.Rows
		}
		if c := (TableCount{t.name, rows, d.erased[t.name]}); c.Exported > 0 || c.Erased > 0 {
			d.Tables = append(d.Tables, c)
			d.RowsExported += c.Exported
			d.RowsErased += c.Erased
		}
	}
}
