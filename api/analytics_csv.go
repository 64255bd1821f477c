package api

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/analytics"
	"github.com/larirun/lari/internal/platform/clock"
)

// tabular is an answer that can be asked for as CSV. It has a bounded number of rows, so it is written at once.
type tabular struct {
	csv *Raw
}

type (
	usageAnswer struct {
		analytics.Usage
		tabular
	}
	runsAnswer struct {
		analytics.Runs
		tabular
	}
	latencyAnswer struct {
		analytics.Latency
		tabular
	}
	platformUsageAnswer struct {
		analytics.PlatformUsage
		tabular
	}
	reportAnswer struct {
		analytics.Result
		tabular
	}
)

// otherForm is the answer as CSV, if it was asked for.
func (t tabular) otherForm() (Raw, bool) {
	if t.csv == nil {
		return Raw{}, false
	}
	return *t.csv, true
}

// as makes the answer CSV if that is the format. Lines end as RFC 4180 has it.
func (t *tabular) as(format, name string, rows func() table) error {
	if format != "csv" {
		return nil
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	for _, row := range rows() {
		for i := range row {
			row[i] = inert(row[i])
		}
		if err := w.Write(row); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	t.csv = &Raw{
		ContentType: mediaCSV + "; charset=utf-8", Body: out.Bytes(),
		Header: map[string]string{"Content-Disposition": `attachment; filename="` + name + `.csv"`},
	}
	return nil
}

// table is rows of cells, the names of the columns first: those of JSON.
type table [][]string

func cellColumns() []string { return []string{"start", "end", "agent_id", "workspace_id", "model"} }

func cellOf(c analytics.Cell) []string {
	model := ""
	if c.Model != nil {
		model = *c.Model
	}
	return []string{timeCell(c.Start), timeCell(c.End), idCell(c.AgentID), idCell(c.WorkspaceID), model}
}

func timeCell(t clock.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func idCell(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func countCell(n int64) string { return strconv.FormatInt(n, 10) }

func msCell(n *int64) string {
	if n == nil {
		return ""
	}
	return countCell(*n)
}

func usageColumns() []string {
	return []string{"steps", "estimated_steps", "input_tokens", "output_tokens", "cost_usd"}
}

func usageCells(f analytics.UsageFigures) []string {
	return []string{countCell(f.Steps), countCell(f.EstimatedSteps), countCell(f.InputTokens), countCell(f.OutputTokens), f.CostUSD.String()}
}

func usageTable(u analytics.Usage) table {
	t := table{append(cellColumns(), usageColumns()...)}
	for _, r := range u.Rows {
		t = append(t, append(cellOf(r.Cell), usageCells(r.UsageFigures)...))
	}
	return t
}

func platformUsageTable(u analytics.PlatformUsage) table {
	t := table{append(append([]string{"tenant_id"}, cellColumns()...), usageColumns()...)}
	for _, r := range u.Rows {
		t = append(t, append(append([]string{idCell(r.TenantID)}, cellOf(r.Cell)...), usageCells(r.UsageFigures)...))
	}
	return t
}

func timingColumns(measure string) []string {
	names := []string{"count", "avg_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms"}
	for i, name := range names {
		names[i] = measure + "_" + name
	}
	return names
}

func timingCells(t analytics.Timing) []string {
	return []string{
		countCell(t.Count), msCell(t.AvgMS), msCell(t.P50MS), msCell(t.P90MS), msCell(t.P95MS), msCell(t.P99MS), msCell(t.MaxMS),
	}
}

func runsTable(r analytics.Runs) table {
	t := table{append(append(append(cellColumns(), "created", "started", "finished", "completed", "failed", "cancelled", "timed_out", "error_rate", "errors"),
		timingColumns("duration")...), timingColumns("queue_wait")...)}
	for _, row := range r.Rows {
		rate, codes := "", make([]string, len(row.Errors))
		if row.ErrorRate != nil {
			rate = strconv.FormatFloat(*row.ErrorRate, 'f', -1, 64)
		}
		for i, e := range row.Errors {
			codes[i] = e.Code + ":" + countCell(e.Count)
		}
		cells := append(cellOf(row.Cell), countCell(row.Created), countCell(row.Started), countCell(row.Finished), countCell(row.Completed), countCell(row.Failed),
			countCell(row.Cancelled), countCell(row.TimedOut), rate, strings.Join(codes, ";"))
		t = append(t, append(append(cells, timingCells(row.Duration)...), timingCells(row.QueueWait)...))
	}
	return t
}

func latencyTable(l analytics.Latency) table {
	t := table{append(append(cellColumns(), timingColumns("duration")...), timingColumns("queue_wait")...)}
	for _, row := range l.Rows {
		t = append(t, append(append(cellOf(row.Cell), timingCells(row.Duration)...), timingCells(row.QueueWait)...))
	}
	return t
}

func resultTable(r analytics.Result) table {
	switch {
	case r.Usage != nil:
		return usageTable(*r.Usage)
	case r.Runs != nil:
		return runsTable(*r.Runs)
	case r.Latency != nil:
		return latencyTable(*r.Latency)
	}
	return nil
}
