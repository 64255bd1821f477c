package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/agents"
	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
)

type toolNames []string

func (n toolNames) Has(name string) bool { return slices.Contains(n, name) }

func service(t *testing.T) (*agents.Service, *pgtest.Database) {
	t.Helper()
	d := pgtest.New(t)
	s, err := agents.NewService(d.DB, toolNames{"calculator", "knowledge_search"})
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func create(ctx context.Context, t *testing.T, s *agents.Service, slug string) agents.Agent {
	t.Helper()
	a, err := s.CreateAgent(ctx, agents.NewAgent{Slug: slug, Name: slug})
	if err != nil {
		t.Fatalf("create the agent %s: %v", slug, err)
	}
	return a
}

func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v has the code %q, want %q", err, fault.CodeOf(err), code)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ptr[T any](v T) *T { return &v }

func TestAnAgentIsFoundAsItWasMade(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, tenant := d.Tenant(t, "one")
	made, err := s.CreateAgent(ctx, agents.NewAgent{Slug: "support", Name: "Support", Description: "Answers.", Config: agents.Config{
		Instructions: "Be kind. \"Quoted\" \u2603", Temperature: ptr(0.0), MaxCostUSD: ptr("0.50"), MaxTokens: ptr(int64(math.MaxInt32) * 4),
		Tools: []agents.ToolRef{{Name: "calculator"}, {Name: "knowledge_search", NeedsApproval: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := made.Config
	if made.Version != 1 || made.TenantID != tenant || c.Model != "default" || c.MaxSteps != 12 || c.TimeoutSeconds != 600 || c.ApprovalTTLSeconds != 86400 {
		t.Errorf("made %+v", made)
	}
	if cost := c.MaxCost(); cost == nil || cost.String() != "0.5" {
		t.Errorf("the cost limit is %v", cost)
	}
	for _, ref := range []string{made.ID.String(), "support"} {
		if found, err := s.FindAgent(ctx, ref); err != nil || asJSON(t, found) != asJSON(t, made) {
			t.Errorf("%s: found %s (error %v), want %s", ref, asJSON(t, found), err, asJSON(t, made))
		}
	}
	v, err := s.FindVersion(ctx, made.ID, 1)
	if err != nil || asJSON(t, v.Config) != asJSON(t, c) || v.CreatedBy != "test" || v.CreatedAt != made.CreatedAt {
		t.Errorf("version 1 is %s, error %v", asJSON(t, v), err)
	}
	if _, err = s.FindVersion(ctx, made.ID, 2); !fault.Is(err, fault.NotFound) {
		t.Errorf("version 2: error %v", err)
	}
	again, err := s.CreateAgent(ctx, agents.NewAgent{ID: made.ID, Slug: "support", Name: "Support"})
	if err != nil || asJSON(t, again) != asJSON(t, made) {
		t.Errorf("made again with its id: %s, error %v", asJSON(t, again), err)
	}
}

func TestWhatIsNoAgent(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	cost := func(text string) agents.NewAgent {
		return agents.NewAgent{Slug: "a", Name: "A", Config: agents.Config{MaxCostUSD: &text}}
	}
	tool := func(names ...string) agents.NewAgent {
		n := agents.NewAgent{Slug: "a", Name: "A"}
		for _, name := range names {
			n.Config.Tools = append(n.Config.Tools, agents.ToolRef{Name: name})
		}
		return n
	}
	for name, tc := range map[string]struct {
		agent agents.NewAgent
		field string
	}{
		"no slug":        {agents.NewAgent{Name: "A"}, "slug"},
		"upper case":     {agents.NewAgent{Slug: "A", Name: "A"}, "slug"},
		"a hyphen first": {agents.NewAgent{Slug: "-a", Name: "A"}, "slug"},
		"a line break":   {agents.NewAgent{Slug: "a\n", Name: "A"}, "slug"},
		"64 characters":  {agents.NewAgent{Slug: strings.Repeat("a", 64), Name: "A"}, "slug"},
		"an id":          {agents.NewAgent{Slug: uuid.NewString(), Name: "A"}, "slug"},
		"unknown tool":   {tool("calculator", "rocket"), "config.tools[1].name"},
		"tool twice":     {tool("calculator", "calculator"), "config.tools[1].name"},
		"no number":      {cost("a lot"), "config.max_cost_usd"},
		"nothing":        {cost("0"), "config.max_cost_usd"},
		"less":           {cost("-1"), "config.max_cost_usd"},
		"too precise":    {cost("0.00000000001"), "config.max_cost_usd"},
		"too much":       {cost("1000001"), "config.max_cost_usd"},
		"absurd":         {cost("1e999999999"), "config.max_cost_usd"},
	} {
		_, err := s.CreateAgent(ctx, tc.agent)
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Field != tc.field {
			t.Errorf("%s: error %v, want %s to be invalid", name, err, tc.field)
		}
	}
	if p, err := s.FindAgents(ctx, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("%d agents are there, error %v", len(p.Items), err)
	}
	_, err := s.CreateAgent(ctx, agents.NewAgent{Slug: "a", Name: "nul\x00"})
	wantCode(t, err, fault.Invalid)
}

func TestAConfigMakesAVersion(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	a := create(ctx, t, s, "a")
	config := agents.Config{Instructions: "second", Tools: []agents.ToolRef{}}
	for i, step := range []struct {
		update  agents.Update
		version int
	}{
		{agents.Update{Name: ptr("New"), Description: ptr("said")}, 1},
		{agents.Update{Config: &config}, 2},
		{agents.Update{Config: &config}, 2}, // the same again
		{agents.Update{Config: &agents.Config{}, ExpectedVersion: ptr(2)}, 3},
		{agents.Update{}, 3},
	} {
		got, err := s.UpdateAgent(ctx, a.ID, step.update)
		if err != nil || got.Version != step.version || got.Name != "New" || got.Description != "said" {
			t.Fatalf("step %d: %+v, error %v; want version %d", i, got, err, step.version)
		}
		if found, err := s.FindAgent(ctx, "a"); err != nil || asJSON(t, found) != asJSON(t, got) {
			t.Errorf("step %d: stored %s, answered %s", i, asJSON(t, found), asJSON(t, got))
		}
	}
	_, err := s.UpdateAgent(ctx, a.ID, agents.Update{Name: ptr("late"), ExpectedVersion: ptr(2)})
	wantCode(t, err, fault.Conflict)
	_, err = s.UpdateAgent(ctx, a.ID, agents.Update{Name: ptr("half"), Config: &agents.Config{Tools: []agents.ToolRef{{Name: "rocket"}}}})
	wantCode(t, err, fault.Invalid)
	_, err = s.UpdateAgent(ctx, uuid.New(), agents.Update{})
	wantCode(t, err, fault.NotFound)
	found, err := s.FindAgent(ctx, "a")
	if err != nil || found.Name != "New" || found.Version != 3 {
		t.Errorf("refused updates left %+v, error %v", found, err)
	}
	for version, instructions := range map[int]string{1: "", 2: "second", 3: ""} {
		if v, err := s.FindVersion(ctx, a.ID, version); err != nil || v.Config.Instructions != instructions {
			t.Errorf("version %d says %q, error %v", version, v.Config.Instructions, err)
		}
	}
}

// Updates of one agent wait for each other: none is lost, none fails, and versions have no holes.
func TestUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	a := create(ctx, t, s, "a")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := s.UpdateAgent(ctx, a.ID, agents.Update{Config: &agents.Config{Instructions: fmt.Sprint(i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p, err := s.FindVersions(ctx, a.ID, page.Request{})
	if err != nil || len(p.Items) != 21 {
		t.Fatalf("%d versions, error %v; want 21", len(p.Items), err)
	}
	said := map[string]bool{}
	for i, v := range p.Items {
		if v.Version != 21-i {
			t.Errorf("version %d stands in place %d", v.Version, i)
		}
		said[v.Config.Instructions] = true
	}
	if len(said) != 21 {
		t.Errorf("%d different configs, want 21", len(said))
	}

	var won, lost int
	var mu sync.Mutex
	for range 5 {
		wg.Go(func() {
			_, err := s.UpdateAgent(ctx, a.ID, agents.Update{Config: &agents.Config{Instructions: uuid.NewString()}, ExpectedVersion: ptr(21)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case fault.Is(err, fault.Conflict):
				lost++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 4 {
		t.Errorf("%d of 5 updates that expected the same version succeeded", won)
	}
}

func TestASlugBelongsToOneLivingAgent(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	other, _ := d.Tenant(t, "two")
	first := create(ctx, t, s, "a")
	create(other, t, s, "a")
	_, err := s.CreateAgent(ctx, agents.NewAgent{Slug: "a", Name: "A"})
	wantCode(t, err, fault.Conflict)
	if err := s.DeleteAgent(ctx, first.ID, false); err != nil {
		t.Fatal(err)
	}
	second := create(ctx, t, s, "a")
	found, err := s.FindAgent(ctx, "a")
	if err != nil || found.ID != second.ID {
		t.Errorf("the slug names %s (error %v), want %s", found.ID, err, second.ID)
	}
}

func TestADeletedAgentIsGoneButItsVersionsStay(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	a := create(ctx, t, s, "a")
	if err := s.DeleteAgent(ctx, a.ID, false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.DeleteAgent(ctx, a.ID, false), fault.NotFound)
	_, err := s.FindAgent(ctx, a.ID.String())
	wantCode(t, err, fault.NotFound)
	_, err = s.UpdateAgent(ctx, a.ID, agents.Update{Name: ptr("b")})
	wantCode(t, err, fault.NotFound)
	if p, err := s.FindAgents(ctx, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("it is still listed (error %v)", err)
	}
	if _, err := s.FindVersion(ctx, a.ID, 1); err != nil {
		t.Errorf("a run that began with it cannot go on: %v", err)
	}
}

func TestAnotherTenantsAgentDoesNotExist(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	stranger, _ := d.Tenant(t, "two")
	a := create(ctx, t, s, "a")
	if _, err := s.FindVersion(ctx, a.ID, 1); err != nil { // now it is cached
		t.Fatal(err)
	}
	// A look across tenants on the stranger's behalf must not leave the version in the stranger's reach.
	if _, err := s.FindVersion(postgres.AsSystem(stranger), a.ID, 1); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"FindAgent":    func() error { _, err := s.FindAgent(stranger, a.ID.String()); return err },
		"by slug":      func() error { _, err := s.FindAgent(stranger, "a"); return err },
		"UpdateAgent":  func() error { _, err := s.UpdateAgent(stranger, a.ID, agents.Update{Name: ptr("mine")}); return err },
		"DeleteAgent":  func() error { return s.DeleteAgent(stranger, a.ID, false) },
		"FindVersion":  func() error { _, err := s.FindVersion(stranger, a.ID, 1); return err },
		"FindVersions": func() error { _, err := s.FindVersions(stranger, a.ID, page.Request{}); return err },
		"CreateAgent": func() error {
			_, err := s.CreateAgent(stranger, agents.NewAgent{ID: a.ID, Slug: "b", Name: "B"})
			return err
		},
	} {
		if err := try(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: error %v, want not found", name, err)
		}
	}
	if p, err := s.FindAgents(stranger, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("a stranger lists %d agents, error %v", len(p.Items), err)
	}
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	var want []string
	for i := range 5 {
		want = append([]string{create(ctx, t, s, fmt.Sprintf("a%d", i)).Slug}, want...)
	}
	var got []string
	request := page.Request{Limit: 2}
	for range 3 {
		p, err := s.FindAgents(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range p.Items {
			got = append(got, a.Slug)
		}
		if p.NextCursor == nil {
			break
		}
		request.Cursor = *p.NextCursor
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}

	a, err := s.FindAgent(ctx, "a0")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := s.UpdateAgent(ctx, a.ID, agents.Update{Config: &agents.Config{Instructions: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	first, err := s.FindVersions(ctx, a.ID, page.Request{Limit: 3})
	if err != nil || len(first.Items) != 3 || first.NextCursor == nil {
		t.Fatalf("%+v, error %v", first, err)
	}
	last, err := s.FindVersions(ctx, a.ID, page.Request{Limit: 3, Cursor: *first.NextCursor})
	if err != nil || len(last.Items) != 1 || last.Items[0].Version != 1 || last.NextCursor != nil {
		t.Errorf("the last page is %+v, error %v", last, err)
	}
	for _, key := range []string{"x", "1.5", "99999999999", "-1", "+1", "01", a.ID.String()} {
		if _, err := s.FindVersions(ctx, a.ID, page.Request{Cursor: page.Encode(key)}); !fault.Is(err, fault.Malformed) {
			t.Errorf("cursor of %s: error %v, want malformed", key, err)
		}
	}
}
