package contract_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/larirun/lari/tests/contract"
)

func golden(t testing.TB) (*contract.Document, []byte) {
	t.Helper()
	text, err := os.ReadFile("../../api/testdata/openapi.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := contract.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return d, text
}

func header(kind string) http.Header {
	return http.Header{"X-Request-Id": {"r"}, "Content-Type": {kind}}
}

// TestExamples: what the description shows of answers and requests is what it says of them, and every
// operation shows something.
func TestExamples(t *testing.T) {
	t.Parallel()
	d, text := golden(t)
	type content map[string]struct {
		Example any `json:"example"`
	}
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct{ Content content }
			Responses   map[string]struct{ Content content }
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, o := range d.Operations {
		op := doc.Paths[o.Path][strings.ToLower(o.Method)]
		if o.Body != nil {
			example, err := json.Marshal(op.RequestBody.Content["application/json"].Example)
			if err != nil || string(example) == "null" {
				t.Errorf("%s shows no request", o.Name())
			}
			if err := d.CheckBody(o, example); err != nil {
				t.Errorf("%s shows a request that it does not describe: %v", o.Name(), err)
			}
		}
		for status, r := range op.Responses {
			for kind, c := range r.Content {
				if status[0] != '2' {
					continue
				}
				if c.Example == nil {
					t.Errorf("%s shows no answer %s as %s", o.Name(), status, kind)
					continue
				}
				shown++
				if frame, ok := c.Example.(string); ok && kind == "text/event-stream" {
					e, err := contract.NewEvents(strings.NewReader(frame)).Next()
					if err == nil {
						err = d.CheckEvent(o.Method, o.Path, e)
					}
					if err != nil {
						t.Errorf("%s shows an event that it does not describe: %v", o.Name(), err)
					}
				}
				if kind != "application/json" {
					continue
				}
				body, err := json.Marshal(c.Example)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Check(contract.Answer{Method: o.Method, Path: o.Path, Status: 200 + int(status[2]-'0'), Header: header(kind), Body: body}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if shown < len(d.Operations)/2 {
		t.Errorf("only %d answers are shown", shown)
	}
}

// TestDeviations: each answer is wrong in one way.
func TestDeviations(t *testing.T) {
	t.Parallel()
	d, _ := golden(t)
	good := contract.Answer{Method: "GET", Path: "/healthz", Status: 200, Header: header("application/json"), Body: []byte(`{"status":"alive"}`)}
	if err := d.Check(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*contract.Answer){
		"a status that is not described": func(a *contract.Answer) { a.Status = 418 },
		"another type":                   func(a *contract.Answer) { a.Header = header("text/html") },
		"no type":                        func(a *contract.Answer) { a.Header = header("") },
		"no request id":                  func(a *contract.Answer) { a.Header = http.Header{"Content-Type": {"application/json"}} },
		"a field too many":               func(a *contract.Answer) { a.Body = []byte(`{"status":"alive","more":1}`) },
		"a field too few":                func(a *contract.Answer) { a.Body = []byte(`{}`) },
		"a wrong type":                   func(a *contract.Answer) { a.Body = []byte(`{"status":1}`) },
		"no JSON":                        func(a *contract.Answer) { a.Body = []byte(`alive`) },
		"a body for HEAD":                func(a *contract.Answer) { a.Method = "HEAD" },
		"success of nothing":             func(a *contract.Answer) { a.Path = "/v1/nothing" },
		"a refusal that is no problem":   func(a *contract.Answer) { a.Path, a.Status = "/v1/nothing", 404 },
		"503 without Retry-After": func(a *contract.Answer) {
			a.Path, a.Status, a.Header = "/v1/runs", 503, header("application/problem+json")
		},
		"a problem of another status": func(a *contract.Answer) {
			a.Path, a.Status, a.Header = "/v1/nothing", 404, header("application/problem+json")
			a.Body = []byte(`{"type":"/problems/not_found","title":"Not found","status":405,"detail":"x","code":"not_found","instance":"r"}`)
		},
		"a problem of no code of ours": func(a *contract.Answer) {
			a.Path, a.Status, a.Header = "/v1/nothing", 404, header("application/problem+json")
			a.Body = []byte(`{"type":"/problems/x","title":"Not found","status":404,"detail":"x","code":"x","instance":"r"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := good
			change(&a)
			if d.Check(a) == nil {
				t.Error("it is taken for what is described")
			}
		})
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	d, _ := golden(t)
	const path = "/v1/runs/0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f/stream"
	const envelope = `{"run_id":"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f","seq":3,"type":"message_received","at":"2026-11-25T09:30:00.000Z","data":`
	const data = `{"message_id":"0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f","text":"hello","by":"ada"}`
	good := contract.Event{ID: "3", Type: "message_received", Data: []byte(envelope + data + "}")}
	if err := d.CheckEvent("GET", path, good); err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]contract.Event{
		"another id":      {ID: "4", Type: good.Type, Data: good.Data},
		"another type":    {ID: "3", Type: "message_delta", Data: good.Data},
		"a field missing": {ID: "3", Type: good.Type, Data: []byte(envelope + `{"text":"hello","by":"ada"}}`)},
		"a field more":    {ID: "3", Type: good.Type, Data: []byte(envelope + strings.Replace(data, "{", `{"x":1,`, 1) + "}")},
		"no JSON":         {ID: "3", Type: good.Type, Data: []byte("hello")},
	} {
		if d.CheckEvent("GET", path, e) == nil {
			t.Errorf("%s: it is taken for what is described", name)
		}
	}
	if d.CheckEvent("GET", "/v1/runs", good) == nil {
		t.Error("a list is taken for a stream")
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	d, _ := golden(t)
	for request, id := range map[string]string{
		"GET /v1/runs": "listRuns", "HEAD /v1/runs": "listRuns", "POST /v1/runs/stream": "createRunAndStream", "GET /v1/runs/stream": "getRun",
		"GET /v1/runs/%2F": "getRun", "GET /v1/runs/": "", "PUT /v1/runs": "", "GET /v1": "", "GET /docs": "",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ""
		if o := d.Match(method, path); o != nil {
			got = o.ID
		}
		if got != id {
			t.Errorf("%s is answered by %q, want %q", request, got, id)
		}
	}
}
