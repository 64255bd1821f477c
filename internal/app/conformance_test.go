package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/larirun/lari/connectors"
	auditconnector "github.com/larirun/lari/connectors/audit"
	"github.com/larirun/lari/connectors/connectortest"
	telemetryconnector "github.com/larirun/lari/connectors/telemetry"
	"github.com/larirun/lari/internal/audit"
	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/platform/telemetry"
	"github.com/larirun/lari/internal/runs"
)

// The connectors as this program puts them together, over a real database and a real registry.

func TestTelemetryConformance(t *testing.T) {
	t.Parallel()
	connectortest.Run(t, connectortest.Subject{Unordered: true, New: func(t testing.TB) connectortest.Rig {
		metrics := telemetry.New(telemetry.Options{})
		return connectortest.Rig{
			Connector: telemetryconnector.New(meter{metrics: metrics}),
			Effects:   func() []connectortest.Effect { return counted(t, metrics) },
		}
	}})
}

// counted gives an effect for each run that the counters hold.
func counted(t testing.TB, m *telemetry.Metrics) []connectortest.Effect {
	t.Helper()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]event.Type{"completed": event.RunCompleted, "failed": event.RunError, "timed_out": event.RunError, "cancelled": event.RunCancelled}
	var effects []connectortest.Effect
	for _, f := range families {
		for _, series := range f.GetMetric() {
			var typ event.Type
			switch f.GetName() {
			case "lari_runs_started_total":
				typ = event.RunStarted
			case "lari_runs_finished_total":
				for _, l := range series.GetLabel() {
					if l.GetName() == "status" {
						typ = types[l.GetValue()]
					}
				}
			default:
				continue
			}
			for range int(series.GetCounter().GetValue()) {
				effects = append(effects, connectortest.Effect{Type: typ})
			}
		}
	}
	return effects
}

func TestAuditConformance(t *testing.T) {
	t.Parallel()
	const password = "the-password-of-the-database"
	connectortest.Run(t, connectortest.Subject{
		New: func(t testing.TB) connectortest.Rig {
			return newTrail(t, nil)
		},
		Stalled: func(t testing.TB) connectortest.Rig {
			return newTrail(t, func(db *pgtest.Database) *postgres.DB {
				holder := db.Conn(t)
				mustExec(t, holder, `begin`)
				mustExec(t, holder, `lock table audit_logs in access exclusive mode`)
				return db.DB
			})
		},
		Broken: map[string]func(t testing.TB) connectortest.Rig{
			"a closed pool": func(t testing.TB) connectortest.Rig {
				return newTrail(t, func(db *pgtest.Database) *postgres.DB {
					closed := db.Open(t, postgres.Config{})
					closed.Close()
					return closed
				})
			},
			"no server": func(t testing.TB) connectortest.Rig {
				return newTrail(t, func(db *pgtest.Database) *postgres.DB {
					nobody := &url.URL{Scheme: "postgres", User: url.UserPassword("lari", password), Host: freeAddress(t), Path: "/lari"}
					return db.Open(t, postgres.Config{URL: nobody.String()})
				})
			},
			"no table": func(t testing.TB) connectortest.Rig {
				return newTrail(t, func(db *pgtest.Database) *postgres.DB {
					mustExec(t, db.Conn(t), `drop table audit_logs cascade`)
					return db.DB
				})
			},
		},
		Secrets: []string{password},
	})
}

// newTrail gives the audit connector over a database of its own; sabotage gives the one that it is to use
// instead. Each event that the suite makes is of a run that exists and has ended.
func newTrail(t testing.TB, sabotage func(*pgtest.Database) *postgres.DB) connectortest.Rig {
	t.Helper()
	db := pgtest.New(t)
	_, tenant := db.Tenant(t, "acme")
	conn := db.Conn(t)
	agent := uuid.Must(uuid.NewV7())
	mustExec(t, conn, `insert into agents (id, tenant_id, slug, name, version, created_at, updated_at) values ($1, $2, 'a', 'A', 1, now(), now())`, agent, tenant)
	used := db.DB
	if sabotage != nil {
		used = sabotage(db)
	}
	log := slog.New(slog.DiscardHandler)
	service := runs.NewService(runs.Deps{DB: used, Log: runs.NewLog(used, meter{metrics: telemetry.New(telemetry.Options{})}, func(int, time.Duration) {}, log), Logger: log})
	kept := audit.NewService(used, telemetry.New(telemetry.Options{}).Audit, nil, log)
	appending, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var writing sync.WaitGroup
	writing.Go(func() { kept.RunAppender(appending) })
	t.Cleanup(func() {
		stop()
		writing.Wait()
	})
	return connectortest.Rig{
		Connector: auditconnector.New(trail{kept}, service),
		Event: func(e connectors.Event) connectors.Event {
			e.TenantID, e.AgentID, e.WorkspaceID, e.ThreadID = tenant, agent, nil, nil
			mustExec(t, conn, `
				insert into agent_runs (id, tenant_id, agent_id, agent_version, status, input, max_steps, timeout_seconds, approval_seconds,
				  created_by, created_at, started_at, finished_at)
				values ($1, $2, $3, 1, 'completed', '[]', 10, 60, 60, 'test', now(), now(), now()) on conflict do nothing`, e.RunID, tenant, agent)
			return e
		},
		Effects: func() []connectortest.Effect { return audited(t, conn) },
	}
}

// audited reads the trail in the order in which it was written: rows that are only ever added lie so.
func audited(t testing.TB, conn *pgx.Conn) []connectortest.Effect {
	t.Helper()
	types := map[string]event.Type{
		"run.start": event.RunStarted, "run.complete": event.RunCompleted, "run.error": event.RunError, "run.cancel": event.RunCancelled,
	}
	rows, err := conn.Query(context.Background(), `select resource_id, action from audit_logs where resource_type = 'run' order by ctid`)
	if err != nil {
		t.Fatal(err)
	}
	effects, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (connectortest.Effect, error) {
		var run, action string
		err := row.Scan(&run, &action)
		return connectortest.Effect{RunID: uuid.MustParse(run), Type: types[action]}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return effects
}

func mustExec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
}

// freeAddress gives an address of this machine on which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
