package threads_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/page"
	"github.com/larirun/lari/internal/platform/postgres/pgtest"
	"github.com/larirun/lari/internal/threads"
)

func service(t *testing.T) (*threads.Service, *pgtest.Database) {
	t.Helper()
	d := pgtest.New(t)
	return threads.NewService(d.DB), d
}

func create(ctx context.Context, t *testing.T, s *threads.Service, title string) threads.Thread {
	t.Helper()
	th, err := s.CreateThread(ctx, threads.NewThread{Title: title})
	if err != nil {
		t.Fatal(err)
	}
	return th
}

func say(texts ...string) (messages []threads.NewMessage) {
	for _, text := range texts {
		messages = append(messages, threads.NewMessage{Role: threads.User, Content: text})
	}
	return messages
}

// contents reads a whole thread, page by page, and checks that its positions have no holes.
func contents(ctx context.Context, t *testing.T, s *threads.Service, id uuid.UUID, limit int) (texts []string) {
	t.Helper()
	request := page.Request{Limit: limit}
	for {
		p, err := s.FindMessages(ctx, id, request)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range p.Items {
			if texts = append(texts, m.Content); m.Position != len(texts) {
				t.Fatalf("position %d stands in place %d", m.Position, len(texts))
			}
		}
		if p.NextCursor == nil {
			return texts
		}
		request.Cursor = *p.NextCursor
	}
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

func TestAThreadIsFoundAsItWasMade(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, tenant := d.Tenant(t, "one")
	made, err := s.CreateThread(ctx, threads.NewThread{Title: "Hello \u2603", Metadata: map[string]json.RawMessage{"a": json.RawMessage(`[1.5,null,"x"]`)}})
	if err != nil || made.TenantID != tenant || made.MessageCount != 0 {
		t.Fatalf("made %+v, error %v", made, err)
	}
	found, err := s.FindThread(ctx, made.ID)
	if err != nil || found.Title != made.Title || found.CreatedAt != made.CreatedAt || asJSON(t, found.Metadata) != `{"a":[1.5,null,"x"]}` {
		t.Errorf("found %s, error %v", asJSON(t, found), err)
	}
	again, err := s.CreateThread(ctx, threads.NewThread{ID: made.ID, Title: "another"})
	if err != nil || again.Title != made.Title {
		t.Errorf("made again with its id: %+v, error %v", again, err)
	}
	plain := create(ctx, t, s, "")
	if found, err := s.FindThread(ctx, plain.ID); err != nil || string(found.Metadata) != "{}" {
		t.Errorf("found %+v, error %v", found, err)
	}
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	th := create(ctx, t, s, "old")
	for i, step := range []struct {
		update threads.Update
		want   string
	}{
		{threads.Update{Title: ptr("new")}, `new {}`},
		{threads.Update{Metadata: map[string]json.RawMessage{"a": json.RawMessage(`1`)}}, `new {"a":1}`},
		{threads.Update{}, `new {"a":1}`},
		{threads.Update{Title: ptr(""), Metadata: map[string]json.RawMessage{}}, ` {}`},
	} {
		got, err := s.UpdateThread(ctx, th.ID, step.update)
		if err != nil || got.Title+" "+asJSON(t, got.Metadata) != step.want {
			t.Errorf("step %d: %+v, error %v; want %s", i, got, err, step.want)
		}
		if found, err := s.FindThread(ctx, th.ID); err != nil || found.Title+" "+asJSON(t, found.Metadata) != step.want {
			t.Errorf("step %d stored %+v, error %v; want %s", i, found, err, step.want)
		}
	}
	_, err := s.UpdateThread(ctx, th.ID, threads.Update{Metadata: map[string]json.RawMessage{"a": json.RawMessage(`"` + strings.Repeat("x", 16<<10) + `"`)}})
	wantCode(t, err, fault.Invalid)
	_, err = s.CreateThread(ctx, threads.NewThread{Metadata: map[string]json.RawMessage{"a": json.RawMessage(`"` + strings.Repeat("x", 16<<10) + `"`)}})
	wantCode(t, err, fault.Invalid)
	_, err = s.CreateThread(ctx, threads.NewThread{Title: "nul\x00"})
	wantCode(t, err, fault.Invalid)
	_, err = s.UpdateThread(ctx, uuid.New(), threads.Update{})
	wantCode(t, err, fault.NotFound)
}

// Updates of one thread wait for each other: what the one changes the other does not put back.
func TestUpdatesAtOnce(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	for range 20 {
		th := create(ctx, t, s, "old")
		var wg sync.WaitGroup
		for _, u := range []threads.Update{{Title: ptr("new")}, {Metadata: map[string]json.RawMessage{"a": json.RawMessage(`1`)}}} {
			wg.Go(func() {
				if _, err := s.UpdateThread(ctx, th.ID, u); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if found, err := s.FindThread(ctx, th.ID); err != nil || found.Title+asJSON(t, found.Metadata) != `new{"a":1}` {
			t.Errorf("an update was lost: %+v, error %v", found, err)
		}
	}
}

// Twenty writers of one thread: each one's messages stay together, and positions have no holes.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	th := create(ctx, t, s, "")
	var wg sync.WaitGroup
	for writer := range 20 {
		wg.Go(func() {
			for i := range 5 {
				text := fmt.Sprintf("%d/%d", writer, i)
				err := d.DB.Tx(ctx, func(ctx context.Context) error {
					if err := s.Append(ctx, th.ID, say(text+"/a", text+"/b")...); err != nil {
						return err
					}
					if i == 4 {
						return errUndone
					}
					return s.Append(ctx, th.ID, say(text+"/c")...)
				})
				if i == 4 && !errors.Is(err, errUndone) || i < 4 && err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	texts := contents(ctx, t, s, th.ID, 50)
	if len(texts) != 20*4*3 {
		t.Fatalf("%d messages, want %d", len(texts), 20*4*3)
	}
	for i := 0; i < len(texts); i += 3 {
		text := strings.TrimSuffix(texts[i], "/a")
		if !slices.Equal(texts[i:i+3], []string{text + "/a", text + "/b", text + "/c"}) {
			t.Errorf("%v stand together", texts[i:i+3])
		}
	}
	if found, err := s.FindThread(ctx, th.ID); err != nil || found.MessageCount != len(texts) || !found.UpdatedAt.After(th.UpdatedAt) {
		t.Errorf("found %+v, error %v", found, err)
	}
}

var errUndone = errors.New("undone")

func TestAppend(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	th := create(ctx, t, s, "")
	run := uuid.New()
	if err := s.Append(ctx, th.ID, threads.NewMessage{Role: threads.Assistant, Content: "", RunID: &run}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(ctx, th.ID); err != nil {
		t.Fatal(err)
	}
	p, err := s.FindMessages(ctx, th.ID, page.Request{})
	if err != nil || len(p.Items) != 1 || *p.Items[0].RunID != run || p.Items[0].Role != threads.Assistant {
		t.Errorf("%s, error %v", asJSON(t, p), err)
	}
	wantCode(t, s.Append(ctx, uuid.New(), say("x")...), fault.NotFound)
	wantCode(t, s.Append(ctx, th.ID, say("ok", "nul\x00")...), fault.Invalid)
	if err := s.Append(ctx, th.ID, threads.NewMessage{Role: "system", Content: "x"}); err == nil {
		t.Error("a message of the role system was added")
	}
	if texts := contents(ctx, t, s, th.ID, 1); len(texts) != 1 {
		t.Errorf("refused messages were stored: %q", texts)
	}
}

func TestHistoryAndWithdraw(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	th := create(ctx, t, s, "")
	if err := s.Append(ctx, th.ID, say("a", "b")...); err != nil {
		t.Fatal(err)
	}
	run := uuid.New()
	if err := s.Append(ctx, th.ID, threads.NewMessage{Role: threads.User, Content: "c", RunID: &run}); err != nil {
		t.Fatal(err)
	}
	history := func(before uuid.UUID) (texts []string) {
		messages, err := s.History(ctx, th.ID, before)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			texts = append(texts, m.Content)
		}
		return texts
	}
	if got := history(run); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("before the run %q was said", got)
	}
	if got := history(uuid.New()); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("before a run without messages %q was said", got)
	}
	for range 2 {
		if err := s.Withdraw(ctx, th.ID, run); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Append(ctx, th.ID, say("d")...); err != nil {
		t.Fatal(err)
	}
	if got := contents(ctx, t, s, th.ID, 50); !slices.Equal(got, []string{"a", "b", "d"}) {
		t.Errorf("after the withdrawal the thread is %q", got)
	}

	var many []string
	for i := range 450 {
		many = append(many, fmt.Sprint(i))
	}
	if err := s.Append(ctx, th.ID, say(many...)...); err != nil {
		t.Fatal(err)
	}
	if got := history(uuid.New()); !slices.Equal(got, many[50:]) {
		t.Errorf("the history has %d messages from %q to %q", len(got), got[0], got[len(got)-1])
	}
}

func TestAnotherTenantsThreadDoesNotExist(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	stranger, _ := d.Tenant(t, "two")
	th := create(ctx, t, s, "mine")
	if err := s.Append(ctx, th.ID, say("a")...); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{
		"FindThread":   func() error { _, err := s.FindThread(stranger, th.ID); return err },
		"UpdateThread": func() error { _, err := s.UpdateThread(stranger, th.ID, threads.Update{Title: ptr("x")}); return err },
		"DeleteThread": func() error { return s.DeleteThread(stranger, th.ID, false) },
		"FindMessages": func() error { _, err := s.FindMessages(stranger, th.ID, page.Request{}); return err },
		"Append":       func() error { return s.Append(stranger, th.ID, say("b")...) },
		"CreateThread": func() error { _, err := s.CreateThread(stranger, threads.NewThread{ID: th.ID}); return err },
	} {
		if err := try(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: error %v, want not found", name, err)
		}
	}
	if messages, err := s.History(stranger, th.ID, uuid.New()); err != nil || len(messages) != 0 {
		t.Errorf("a stranger reads %d messages, error %v", len(messages), err)
	}
	if p, err := s.FindThreads(stranger, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("a stranger lists %d threads, error %v", len(p.Items), err)
	}
	if found, err := s.FindThread(ctx, th.ID); err != nil || found.Title != "mine" || found.MessageCount != 1 {
		t.Errorf("the attempts left %+v, error %v", found, err)
	}
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	s, d := service(t)
	ctx, _ := d.Tenant(t, "one")
	var want, got []string
	for i := range 5 {
		want = append([]string{create(ctx, t, s, fmt.Sprint(i)).Title}, want...)
	}
	request := page.Request{Limit: 2}
	for range 3 {
		p, err := s.FindThreads(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		for _, th := range p.Items {
			got = append(got, th.Title)
		}
		if p.NextCursor != nil {
			request.Cursor = *p.NextCursor
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	th := create(ctx, t, s, "")
	if err := s.Append(ctx, th.ID, say("a", "b", "c")...); err != nil {
		t.Fatal(err)
	}
	if texts := contents(ctx, t, s, th.ID, 1); !slices.Equal(texts, []string{"a", "b", "c"}) {
		t.Errorf("read %v one by one", texts)
	}
	_, err := s.FindMessages(ctx, th.ID, page.Request{Cursor: page.Encode("99999999999")})
	wantCode(t, err, fault.Malformed)
	_, err = s.FindThreads(ctx, page.Request{Limit: 201})
	wantCode(t, err, fault.Invalid)
}
