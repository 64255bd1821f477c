package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/larirun/lari/internal/audit"
)

const (
	mediaNDJSON = "application/x-ndjson"
	mediaCSV    = "text/csv"
)

type exportAudit struct {
	auditFilter
	Format string `query:"format" validate:"oneof=ndjson csv" default:"ndjson" description:"Form of the export."`
}

func (h auditHandlers) export(ctx context.Context, in *exportAudit) (File, error) {
	x, err := h.service.Export(ctx, in.filter())
	if err != nil {
		return File{}, err
	}
	if in.Format == "csv" {
		return File{Name: "audit-logs.csv", ContentType: mediaCSV + "; charset=utf-8", Write: func(ctx context.Context, w io.Writer) error {
			return writeCSV(ctx, w, x)
		}}, nil
	}
	return File{Name: "audit-logs.ndjson", ContentType: mediaNDJSON, Write: func(ctx context.Context, w io.Writer) error {
		return writeNDJSON(ctx, w, x)
	}}, nil
}

// exportedRecord shows data as the text that was hashed: a reader that parses JSON would write it anew in
// another form.
type exportedRecord struct {
	audit.Record
	Data string `json:"data"`
}

func writeNDJSON(ctx context.Context, w io.Writer, x *audit.Export) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return x.Each(ctx, func(records []audit.Record) error {
		for _, r := range records {
			if err := enc.Encode(exportedRecord{r, string(r.Data)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// csvHeader names the columns as JSON does.
func csvHeader() []string {
	return []string{
		"position", "id", "tenant_id", "at", "actor", "action", "resource_type", "resource_id", "outcome", "request_id",
		"client_ip", "key", "data", "prev_hash", "hash",
	}
}

func writeCSV(ctx context.Context, w io.Writer, x *audit.Export) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader()); err != nil {
		return err
	}
	err := x.Each(ctx, func(records []audit.Record) error {
		for _, r := range records {
			at, err := r.At.MarshalJSON()
			if err != nil {
				return err
			}
			row := []string{
				strconv.FormatInt(r.Position, 10), r.ID.String(), r.TenantID.String(), strings.Trim(string(at), `"`), r.Actor, r.Action,
				r.ResourceType, r.ResourceID, r.Outcome, r.RequestID, r.ClientIP, r.Key, string(r.Data), r.PrevHash.String(), r.Hash.String(),
			}
			for i := range row {
				row[i] = inert(row[i])
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// inert keeps spreadsheets from taking a cell for a formula (OWASP, "CSV Injection"). A cell that begins
// with an apostrophe gets another one, so that taking the first one away gives back what was there.
func inert(cell string) string {
	if cell == "" {
		return cell
	}
	first := []rune(cell[:min(len(cell), 4)])[0]
	if strings.ContainsRune("=+-@\t\r\n'＝＋－＠", first) {
		return "'" + cell
	}
	return cell
}

// exportExamples shows one record in each form.
func exportExamples() map[string]string {
	const data = `{"method":"POST","route":"/v1/agents","status":201}`
	return map[string]string{
		mediaNDJSON: `{"position":1,"id":"` + sampleID + `","tenant_id":"` + sampleID + `","at":"` + sampleTime + `","actor":"user:ada","action":"createAgent",` +
			`"resource_type":"agent","resource_id":"` + sampleID + `","outcome":"success","request_id":"` + sampleID + `","client_ip":"192.0.2.7","key":"","data":` +
			strconv.Quote(data) + `,"prev_hash":"","hash":"` + sampleHash + `"}` + "\n",
		mediaCSV: strings.Join(csvHeader(), ",") + "\n" + strings.Join([]string{
			"1", sampleID, sampleID, sampleTime, "user:ada", "createAgent", "agent", sampleID, "success", sampleID, "192.0.2.7", "",
			`"` + strings.ReplaceAll(data, `"`, `""`) + `"`, "", sampleHash,
		}, ",") + "\n",
	}
}
