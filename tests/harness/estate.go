package harness

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/larirun/lari/internal/event"
	"github.com/larirun/lari/internal/platform/auth"
	"github.com/larirun/lari/tests/contract"
	"github.com/larirun/lari/tests/fakellm"
)

const runParameter = "run_id"

// AsksHuman is a rule of the model for which an estate's run waits for a human.
func AsksHuman() fakellm.Rule {
	return fakellm.Rule{
		Contains: "the sum, please", Turn: fakellm.FirstTurn,
		Reply: fakellm.Reply{ToolCalls: []fakellm.ToolCall{{Name: "calculator", Arguments: `{"expression":"2+3"}`}}},
	}
}

// Furnish makes a thing of every kind that the description knows how to make, with the requests that it
// shows, and gives their ids by the parameter that stands for them in paths, escaped. What cannot be made so
// has an id that nothing has. With AsksHuman and an agent whose calculator needs approval the run waits.
func (x *Tenant) Furnish(t testing.TB, doc *contract.Document) map[string]string {
	t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	ids := map[string]string{"tenant_id": x.ID.String()}
	makers := slices.Clone(doc.Operations)
	slices.SortStableFunc(makers, func(a, b *contract.Operation) int { // a run is the last: others are told of it
		last := func(o *contract.Operation) int {
			if itemParameter(doc, o.Path) == runParameter {
				return 100
			}
			return strings.Count(o.Path, "/")
		}
		return last(a) - last(b)
	})
	for _, o := range makers {
		param := itemParameter(doc, o.Path)
		if o.Method != http.MethodPost || param == "" || ids[param] != "" || o.Permission == string(auth.PlatformManage) {
			continue
		}
		path := o.Fill(ids)
		if strings.Contains(path, "{") {
			continue
		}
		if id := x.make(t, o, path, param, receiver.URL); id != "" {
			ids[param] = id
		}
	}
	if run, err := uuid.Parse(ids[runParameter]); err == nil {
		events := x.Follow(t, run, 0).Until(t, event.ApprovalRequested)
		ids["approval_id"] = Payload[event.ApprovalAsked](t, events[len(events)-1]).ApprovalID.String()
	}
	x.look(t, doc, ids)
	for _, o := range doc.Operations {
		for _, p := range o.Parameters {
			if p.In == "path" && ids[p.Name] == "" {
				ids[p.Name] = url.PathEscape(Absent(p))
			}
		}
	}
	return ids
}

// Absent is a value of the parameter that names nothing.
func Absent(p contract.Parameter) string {
	switch kind, _ := p.Schema["type"].(string); {
	case kind == "integer":
		return "1"
	case p.Schema["format"] == "uuid":
		return uuid.Must(uuid.NewV7()).String()
	}
	return "nothing-" + uuid.NewString()[:8]
}

// itemParameter gives what stands for an item of the collection at the path, "" when it is none.
func itemParameter(doc *contract.Document, collection string) string {
	for _, o := range doc.Operations {
		rest, below := strings.CutPrefix(o.Path, collection+"/{")
		if name, last := strings.CutSuffix(rest, "}"); below && last && !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

// isID reports whether the parameter is an id, and not a number or name.
func isID(doc *contract.Document, param string) bool {
	for _, o := range doc.Operations {
		for _, p := range o.Parameters {
			if p.In == "path" && p.Name == param {
				return p.Schema["format"] == "uuid"
			}
		}
	}
	return false
}

// make sends the request that the description shows, and gives the id of what was made.
func (x *Tenant) make(t testing.TB, o *contract.Operation, path, param, receiver string) string {
	t.Helper()
	var body any
	if o.Body != nil {
		body = Reachable(o.Example, receiver)
	}
	if m, ok := body.(map[string]any); ok && param == runParameter {
		m["input"] = "the sum, please"
	}
	a := x.Do(t, o.Method, path, body)
	var made struct{ ID string }
	if a.Status/100 != 2 || json.Unmarshal(a.Body, &made) != nil {
		return ""
	}
	return made.ID
}

// Reachable is the example with the receiver in the place of every URL.
func Reachable(example any, receiver string) any {
	text, err := json.Marshal(example)
	if err != nil {
		return example
	}
	var out any
	if json.Unmarshal([]byte(strings.ReplaceAll(string(text), `"https://example.com`, `"`+receiver)), &out) != nil {
		return example
	}
	return out
}

// look finds what came about by itself: a delivery, a firing.
func (x *Tenant) look(t testing.TB, doc *contract.Document, ids map[string]string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); <-tick.C {
		missing := false
		for _, o := range doc.Operations {
			param := itemParameter(doc, o.Path)
			path := o.Fill(ids)
			if o.Method != http.MethodGet || !isID(doc, param) || ids[param] != "" || strings.Contains(path, "{") || o.Permission == string(auth.PlatformManage) {
				continue
			}
			var page struct {
				Items []struct{ ID string } `json:"items"`
			}
			if a := x.Do(t, o.Method, path, nil); a.Status == http.StatusOK && json.Unmarshal(a.Body, &page) == nil && len(page.Items) > 0 && page.Items[0].ID != "" {
				ids[param] = page.Items[0].ID
				continue
			}
			missing = true
		}
		if !missing {
			return
		}
	}
}

// Peek is Send for answers that may be streams: of those it reads the head alone, and leaves.
func (x *Tenant) Peek(req *http.Request) (Answer, error) {
	resp, err := x.client().Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		a := Answer{Status: resp.StatusCode, Header: resp.Header}
		x.described.check(req, a)
		return a, nil
	}
	return x.read(req, resp)
}

// Client gives a client that keeps as many connections as its caller has workers, until the test ends.
func Client(t testing.TB, workers int) *http.Client {
	t.Helper()
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t.Fatal(fmt.Errorf("the default transport is a %T", http.DefaultTransport))
	}
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost, transport.DisableCompression = workers, true
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
