package api

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
)

const tagAudit = "audit"

// verifyLimit bounds a walk over the whole chain: some ten million rows.
const verifyLimit = 2 * time.Minute

// AuditRoutes is the family of the audit trail.
func AuditRoutes(service *audit.Service) []Route {
	h := auditHandlers{service}
	return []Route{
		Handle("GET", "/v1/audit-logs", auth.AuditRead, Meta{
			ID: "listAuditLogs", Tag: tagAudit, Summary: "List who did what, newest first",
			Description: "Every request that asked for a change, also refused ones, and the start and end of every run.",
		}, h.list),
		Download("GET", "/v1/audit-logs/export", auth.AuditRead, Meta{
			ID: "exportAuditLogs", Tag: tagAudit, Summary: "Export the trail, oldest first", Produces: mediaNDJSON + ", " + mediaCSV, Examples: exportExamples(),
			Description: "One record per line. `data` is a text here, exactly as it was hashed, so that the chain can be verified from the export alone. " +
				"In CSV a cell that a spreadsheet could take for a formula, or that begins with an apostrophe, has an apostrophe put before it. " +
				"An export that breaks off was not whole.",
		}, h.export),
		Handle("GET", "/v1/audit-logs/verify", auth.AuditRead, Meta{
			ID: "verifyAuditLogs", Tag: tagAudit, Summary: "Verify the chain", Timeout: verifyLimit,
			Description: "Walks the tenant's chain from its first row to its head and names the first broken link. With `known_position` and `known_hash` " +
				"from an earlier answer or export it also proves that the chain still holds that row. Where heads are anchored outside of the database " +
				"(`LARI_AUDIT_ANCHOR_FILE`), the last anchor must be in the chain too.",
		}, h.verify),
	}
}

type auditHandlers struct {
	service *audit.Service
}

type auditFilter struct {
	Actor        string     `query:"actor" validate:"max=512" description:"Only what this user or API key did."`
	Action       string     `query:"action" validate:"max=512" description:"Only this action." example:"createAgent"`
	ResourceType string     `query:"resource_type" validate:"max=512" description:"Only what was done to things of this type." example:"agent"`
	ResourceID   string     `query:"resource_id" validate:"max=512" description:"Only what was done to this thing."`
	Outcome      string     `query:"outcome" validate:"omitempty,oneof=success refused failure cancelled" description:"Only what ended so."`
	RequestID    string     `query:"request_id" validate:"max=512" description:"Only what this request did."`
	From         *time.Time `query:"from" description:"Only what happened at this time or later."`
	To           *time.Time `query:"to" description:"Only what happened before this time."`
}

func (f auditFilter) filter() audit.Filter { return audit.Filter(f) }

type listAudit struct {
	page.Request
	auditFilter
}

func (h auditHandlers) list(ctx context.Context, in *listAudit) (page.Page[audit.Record], error) {
	return h.service.FindAll(ctx, in.filter(), in.Request)
}

type verifyAudit struct {
	KnownPosition int64  `query:"known_position" validate:"min=0" description:"Position of a row that you know."`
	KnownHash     string `query:"known_hash" validate:"omitempty,len=64,hexadecimal" description:"Its hash."`
}

func (h auditHandlers) verify(ctx context.Context, in *verifyAudit) (audit.Verdict, error) {
	if in.KnownPosition == 0 && in.KnownHash == "" {
		return h.service.Verify(ctx, nil)
	}
	if in.KnownPosition == 0 || in.KnownHash == "" {
		return audit.Verdict{}, fault.InvalidField("known_position", "required_with", "and known_hash belong together")
	}
	hash, err := hex.DecodeString(in.KnownHash)
	if err != nil {
		return audit.Verdict{}, fault.Wrap(err, fault.Malformed, "known_hash is not hexadecimal.")
	}
	return h.service.Verify(ctx, &audit.KnownLink{Position: in.KnownPosition, Hash: hash})
}
