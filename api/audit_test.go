package api

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

type silent struct{}

func (silent) Appended(int, time.Duration) {}
func (silent) Lost(int)                    {}

// auditing serves the audit family over a database with some rows.
func auditing(t *testing.T, rows int) (*rig, *pgtest.Database, context.Context) {
	t.Helper()
	db := pgtest.New(t)
	service := audit.NewService(db.DB, silent{}, nil, slog.New(slog.DiscardHandler))
	appending, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { service.RunAppender(appending) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	r := start(t, AuditRoutes(service))
	ctx, tenant := db.Tenant(t, "acme")
	r.tenant = tenant
	odd := []string{"ada", "=1+1", "+1", "-1", "@x", "'=x", `"q", x`, "a,b;c", "línea\u2028", "＝1", "&<>"}
	for n := range rows {
		ticket, err := service.AddCall(ctx, audit.Call{Actor: odd[n%len(odd)], Operation: "createAgent", Method: "POST", Route: "/v1/agents", ResourceType: "agent", ResourceID: odd[(n*7)%len(odd)], Outcome: audit.Success, Status: 201}, false)
		if n == rows-1 && err == nil { // Append waits for a second only, and those before it come first
			err = ticket.Wait(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := service.Append(ctx, audit.Entry{Key: "the last", Data: []byte(`{"big": 123456789012345678901234567890, "f": 1.0e2, "s": "\r\n\t\u0000é"}`)}); err != nil {
		t.Fatal(err)
	}
	return r, db, ctx
}

// verifyExport is an outsider's: it knows docs/audit.md and the export, and nothing of this program. It
// gives the position of the first row that does not fit, 0 for none.
func verifyExport(rows []map[string]string) int {
	last := strings.Repeat("0", 64)
	for i, row := range rows {
		var text strings.Builder
		for _, fact := range []string{
			"lari.audit.1", row["tenant_id"], row["position"], row["id"], row["at"], row["actor"], row["action"], row["resource_type"],
			row["resource_id"], row["outcome"], row["request_id"], row["client_ip"], row["key"], row["data"], row["prev_hash"],
		} {
			fmt.Fprintf(&text, "%d:%s,", len(fact), fact)
		}
		sum := sha256.Sum256([]byte(text.String()))
		if row["position"] != fmt.Sprint(i+1) || row["prev_hash"] != last || row["hash"] != hex.EncodeToString(sum[:]) {
			return i + 1
		}
		last = row["hash"]
	}
	return 0
}

func parseNDJSON(t *testing.T, body string) (rows []map[string]string) {
	t.Helper()
	for line := range strings.Lines(body) {
		var fields map[string]any
		dec := json.NewDecoder(strings.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&fields); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		row := map[string]string{}
		for name, value := range fields {
			row[name] = fmt.Sprint(value)
		}
		rows = append(rows, row)
	}
	return rows
}

func parseCSV(t *testing.T, body string) (rows []map[string]string) {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, cell := range record {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") || strings.HasPrefix(cell, "＝") {
				t.Errorf("a spreadsheet computes the cell %q", cell)
			}
			row[records[0][i]] = strings.TrimPrefix(cell, "'")
		}
		rows = append(rows, row)
	}
	return rows
}

func TestAnExportProvesItself(t *testing.T) {
	t.Parallel()
	const rows = 2345 // several pages
	r, db, ctx := auditing(t, rows-1)
	get := func(path string) answer { return r.do(t, request{method: "GET", path: path, role: auth.RoleViewer}) }
	lines, cells := get("/v1/audit-logs/export"), get("/v1/audit-logs/export?format=csv")
	if lines.header.Get("Content-Type") != mediaNDJSON || cells.header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("content types %q and %q", lines.header.Get("Content-Type"), cells.header.Get("Content-Type"))
	}
	exported, table := parseNDJSON(t, lines.body), parseCSV(t, cells.body)
	if len(exported) != rows || len(table) != rows {
		t.Fatalf("%d and %d rows are exported", len(exported), len(table))
	}
	for i := range exported {
		for name, value := range exported[i] {
			if table[i][name] != value {
				t.Fatalf("row %d: %s is %q in one form and %q in the other", i+1, name, value, table[i][name])
			}
		}
	}
	if len(exported[0]) != len(csvHeader()) || verifyExport(exported) != 0 || verifyExport(table) != 0 {
		t.Errorf("the chain breaks at %d and %d", verifyExport(exported), verifyExport(table))
	}
	exported[1000]["actor"] = "eve"
	if at := verifyExport(exported); at != 1001 {
		t.Errorf("a changed row is noticed at %d", at)
	}
	filtered := parseNDJSON(t, get("/v1/audit-logs/export?actor="+url.QueryEscape("=1+1")).body)
	if len(filtered) != (rows-1+9)/11 || filtered[0]["actor"] != "=1+1" {
		t.Errorf("%d rows pass the filter", len(filtered))
	}
	if none := get("/v1/audit-logs/export?actor=nobody"); none.status != 200 || none.body != "" {
		t.Errorf("an empty export is %d %q", none.status, none.body)
	}
	if none := get("/v1/audit-logs/export?actor=nobody&format=csv"); none.body != strings.Join(csvHeader(), ",")+"\n" {
		t.Errorf("an empty table is %q", none.body)
	}
	// What the export holds is what verify confirms, and it is an anchor.
	last := exported[rows-1]
	var v audit.Verdict
	if a := get("/v1/audit-logs/verify?known_position=" + last["position"] + "&known_hash=" + last["hash"]); json.Unmarshal([]byte(a.body), &v) != nil ||
		!v.Valid || v.Position != rows || v.Hash.String() != last["hash"] || !strings.Contains(a.body, `"broken":null`) {
		t.Errorf("verify says %s", a.body)
	}
	tamper(ctx, t, db, `update audit_logs set actor = 'eve' where position = 77`)
	v = audit.Verdict{}
	if a := get("/v1/audit-logs/verify"); a.status != 200 || json.Unmarshal([]byte(a.body), &v) != nil || v.Valid ||
		v.Broken.Position != 77 || v.Broken.Fault != audit.FaultHash || v.Broken.ID.String() != exported[76]["id"] {
		t.Errorf("verify says %s", a.body)
	}
	if at := verifyExport(parseCSV(t, get("/v1/audit-logs/export?format=csv").body)); at != 77 {
		t.Errorf("the export breaks at %d", at)
	}
}

func tamper(ctx context.Context, t *testing.T, db *pgtest.Database, sql string) {
	t.Helper()
	if err := pgx.BeginFunc(ctx, db.Conn(t), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `set local session_replication_role = replica; `+sql)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTheTrailIsListed(t *testing.T) {
	t.Parallel()
	r, _, _ := auditing(t, 120)
	var positions []int64
	path := "/v1/audit-logs?limit=50"
	for path != "" {
		a := r.do(t, request{method: "GET", path: path, role: auth.RoleViewer})
		var p struct {
			Items []struct {
				Position int64
				Data     map[string]any
				Hash     string
			}
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 200 {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		for _, item := range p.Items {
			positions = append(positions, item.Position)
			if len(item.Data) == 0 || len(item.Hash) != 64 {
				t.Fatalf("item %+v", item)
			}
		}
		path = ""
		if p.NextCursor != nil {
			path = "/v1/audit-logs?limit=50&cursor=" + *p.NextCursor
		}
	}
	if len(positions) != 121 || !slices.IsSortedFunc(positions, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("positions %v", positions)
	}
	for path, code := range map[string]fault.Code{
		"?outcome=maybe": fault.Invalid, "?from=yesterday": fault.Malformed, "?who=x": fault.Malformed, "?cursor=x": fault.Malformed, "?limit=0": fault.Invalid,
		"/export?format=xls": fault.Invalid, "/export?cursor=x": fault.Malformed, "/verify?known_position=1": fault.Invalid,
		"/verify?known_hash=" + strings.Repeat("a", 64): fault.Invalid, "/verify?known_position=1&known_hash=zz": fault.Invalid,
	} {
		r.do(t, request{method: "GET", path: "/v1/audit-logs" + path, role: auth.RoleViewer}).problem(t, code)
	}
	r.do(t, request{method: "GET", path: "/v1/audit-logs"}).problem(t, fault.Unauthenticated)
	other := *r
	other.tenant = [16]byte{1} // a tenant of no rows
	if a := other.do(t, request{method: "GET", path: "/v1/audit-logs", role: auth.RoleOwner}); !strings.Contains(a.body, `"items":[]`) {
		t.Errorf("another tenant sees %s", a.body)
	}
	if got := len(r.trail.all(t)); got != 0 {
		t.Errorf("reading left %d rows in the trail", got)
	}
}
