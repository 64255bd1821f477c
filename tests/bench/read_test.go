package bench

import (
	"fmt"
	"math/rand/v2"
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
	readRounds = 60
	readFor    = 250 * time.Millisecond
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

// reading is what one reader asks for.
type reading struct{ url, token string }

// hammer asks over and over, reader i for its reading, and gives the answers per second.
func hammer(t *testing.T, client *fasthttp.Client, of []reading) float64 {
	t.Helper()
	var answers atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(readFor)
	for i := range readers {
		mine := of[i%len(of)]
		all.Go(func() {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			req.SetRequestURI(mine.url)
			req.Header.Set("Authorization", "Bearer "+mine.token)
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
// handler that does the query and nothing else: one run, and one for each reader, of a tenant of its own.
func TestRead(t *testing.T) {
	s := harness.NewSystem(t)
	p := s.Start(t, harness.All)
	bare := bareServer(t, s)
	var of [2][]reading
	for range readers {
		x := p.NewTenant(t, agents.Config{})
		run, _, _ := lari(t, x)
		of[0] = append(of[0], reading{bare + "/v1/runs/" + run.String(), x.Token})
		of[1] = append(of[1], reading{x.URL + "/v1/runs/" + run.String(), x.Token})
	}
	readPaired(t, "one run", of[0][:1], of[1][:1])
	readPaired(t, fmt.Sprintf("runs of %d tenants", readers), of[0], of[1])
}

func readPaired(t *testing.T, what string, bare, ours []reading) {
	t.Helper()
	client := &fasthttp.Client{MaxConnsPerHost: readers}
	defer client.CloseIdleConnections()
	var rates [2][]float64
	var ratios []float64
	for round := range readRounds {
		// In pairs of random order: what else goes on on the machine meets both.
		var pair [2]float64
		first := rand.IntN(2) //nolint:gosec // chance is all it is
		for _, which := range []int{first, 1 - first} {
			pair[which] = hammer(t, client, [][]reading{bare, ours}[which])
		}
		if round < readRounds/10 { // warm-up
			continue
		}
		rates[0], rates[1], ratios = append(rates[0], pair[0]), append(rates[1], pair[1]), append(ratios, pair[1]/pair[0])
	}
	for _, all := range [][]float64{rates[0], rates[1], ratios} {
		slices.Sort(all)
	}
	mid, n := len(ratios)/2, len(ratios)
	fmt.Printf("GET of %s, %d at once: bare %.0f/s, lari %.0f/s (medians)\nRATIO lari/bare GET of %s, paired: %.2f (half of them between %.2f and %.2f; at least 0.70)\n",
		what, readers, rates[0][mid], rates[1][mid], what, ratios[mid], ratios[n/4], ratios[3*n/4])
}
