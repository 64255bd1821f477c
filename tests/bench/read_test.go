package bench

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/valyala/fasthttp"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/tests/harness"
)

const (
	readers    = 16
	readRounds = 7
	readFor    = 2 * time.Second
)

// bareRun is what the bare handler answers: the columns of a run, as they are.
type bareRun struct {
	ID, TenantID, AgentID           uuid.UUID
	WorkspaceID, ThreadID, Schedule *uuid.UUID
	AgentVersion                    int
	Status                          string
	Input, Metadata                 []byte
	Output                          *string
	InputTokens, OutputTokens       int64
	Cost                            string
	CreatedAt                       time.Time
	StartedAt, FinishedAt           *time.Time
}

// bareServer is a Fiber handler that reads one run with the same driver, as a user whom no policy concerns.
func bareServer(t *testing.T, s *harness.System) string {
	t.Helper()
	pc, err := pgxpool.ParseConfig(s.Database.URL)
	if err != nil {
		t.Fatal(err)
	}
	pc.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/v1/runs/:id", func(c *fiber.Ctx) error {
		id, err := uuid.Parse(c.Params("id"))
		if err != nil {
			return err
		}
		var r bareRun
		err = pool.QueryRow(c.Context(), `select id, tenant_id, workspace_id, agent_id, agent_version, thread_id, schedule_id, status, input, output,
			input_tokens, output_tokens, cost_usd::text, metadata, created_at, started_at, finished_at from agent_runs where id = $1`, id).
			Scan(&r.ID, &r.TenantID, &r.WorkspaceID, &r.AgentID, &r.AgentVersion, &r.ThreadID, &r.Schedule, &r.Status, &r.Input, &r.Output,
				&r.InputTokens, &r.OutputTokens, &r.Cost, &r.Metadata, &r.CreatedAt, &r.StartedAt, &r.FinishedAt)
		if err != nil {
			return err
		}
		return c.JSON(r)
	})
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = app.Listener(ln) }()
	t.Cleanup(func() { _ = app.Shutdown() })
	return "http://" + ln.Addr().String()
}

// hammer asks for the URL over and over and gives the answers per second.
func hammer(t *testing.T, url, token string) float64 {
	t.Helper()
	client := &fasthttp.Client{MaxConnsPerHost: readers}
	defer client.CloseIdleConnections()
	var answers atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(readFor)
	for range readers {
		all.Go(func() {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			req.SetRequestURI(url)
			req.Header.Set("Authorization", "Bearer "+token)
			for time.Now().Before(end) {
				if err := client.Do(req, resp); err != nil || resp.StatusCode() != 200 {
					t.Errorf("status %d, %v", resp.StatusCode(), err)
					return
				}
				answers.Add(1)
			}
		})
	}
	all.Wait()
	return float64(answers.Load()) / readFor.Seconds()
}

// TestRead compares reading a run through everything (token, tenant, permission, row security, view) with a
// handler that does the query and nothing else.
func TestRead(t *testing.T) {
	s := harness.NewSystem(t)
	x := s.Start(t, harness.All).NewTenant(t, agents.Config{})
	run, _, _ := lari(t, x)
	bare, ours := bareServer(t, s)+"/v1/runs/"+run.String(), x.URL+"/v1/runs/"+run.String()
	var bareRate, lariRate, ratios []float64
	for round := range readRounds {
		b, l := hammer(t, bare, x.Token), hammer(t, ours, x.Token)
		if round == 0 { // warm-up
			continue
		}
		bareRate, lariRate, ratios = append(bareRate, b), append(lariRate, l), append(ratios, l/b)
	}
	for _, all := range [][]float64{bareRate, lariRate, ratios} {
		slices.Sort(all)
	}
	mid := len(ratios) / 2
	fmt.Printf("GET of a run, %d at once: bare %.0f/s, lari %.0f/s (medians)\nRATIO lari/bare GET of a run: %.2f (%.2f to %.2f; at least 0.70)\n",
		readers, bareRate[mid], lariRate[mid], ratios[mid], ratios[0], ratios[len(ratios)-1])
}
