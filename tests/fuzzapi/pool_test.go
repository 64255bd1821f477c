package fuzzapi

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/larirun/lari/tests/contract"
)

// poolSize bounds what is remembered of a kind, so that old things are forgotten for new ones.
const poolSize = 40

// pool is what one tenant's answers have told: the things that it has, by the parameter that stands for them
// in paths, each with the parameters of what holds it; and cursors, by operation.
type pool struct {
	mu      sync.Mutex
	things  map[string][]map[string]string
	cursors map[string][]string
}

func newPool(ids map[string]string) *pool {
	p := &pool{things: map[string][]map[string]string{}, cursors: map[string][]string{}}
	for name := range ids {
		p.things[name] = []map[string]string{ids}
	}
	return p
}

// pick gives the values of a thing and of what holds it, nil when there is none of the kind.
func (p *pool) pick(r *rand.Rand, param string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.things[param]
	if len(all) == 0 {
		return nil
	}
	return all[r.IntN(len(all))]
}

// any gives a value of whatever kind.
func (p *pool) any(r *rand.Rand) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	kinds := make([]string, 0, len(p.things))
	for kind, all := range p.things {
		if len(all) > 0 {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	kind := kinds[r.IntN(len(kinds))]
	return p.things[kind][0][kind]
}

func (p *pool) cursor(r *rand.Rand, operation string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.cursors[operation]
	if len(all) == 0 {
		return ""
	}
	return all[r.IntN(len(all))]
}

// learn remembers what an answer to the operation holds. values are those of the request's path.
func (p *pool) learn(d *contract.Document, o *contract.Operation, values map[string]string, body []byte) {
	var got struct {
		ID         string `json:"id"`
		NextCursor string `json:"next_cursor"`
		Items      []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if json.Unmarshal(body, &got) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got.NextCursor != "" {
		p.cursors[o.ID] = forget(append(p.cursors[o.ID], got.NextCursor))
	}
	param := itemParameter(d, o.Path)
	if param == "" {
		return
	}
	ids := []string{got.ID}
	for _, item := range got.Items {
		ids = append(ids, item.ID)
	}
	for _, id := range ids {
		if id == "" || slices.ContainsFunc(p.things[param], func(v map[string]string) bool { return v[param] == id }) {
			continue
		}
		thing := map[string]string{param: id}
		for _, name := range o.PathParameters() {
			thing[name] = values[name]
		}
		p.things[param] = forget(append(p.things[param], thing))
	}
}

// lose forgets what is not there any more.
func (p *pool) lose(o *contract.Operation, values map[string]string) {
	names := o.PathParameters()
	if len(names) == 0 {
		return
	}
	last := names[len(names)-1]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.things[last] = slices.DeleteFunc(p.things[last], func(v map[string]string) bool { return last != "tenant_id" && v[last] == values[last] })
}

// add remembers a thing.
func (p *pool) add(param string, values map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.things[param] = forget(append(p.things[param], values))
}

func forget[T any](all []T) []T {
	if len(all) > poolSize {
		return slices.Delete(all, 0, 1)
	}
	return all
}

// itemParameter names what stands for an item of the collection that a GET lists or a POST adds to.
func itemParameter(d *contract.Document, collection string) string {
	for _, o := range d.Operations {
		rest, below := strings.CutPrefix(o.Path, collection+"/{")
		if name, last := strings.CutSuffix(rest, "}"); below && last && !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

var anUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// owners knows whose each id is, from the answers in which its tenant was told of it.
type owners struct {
	mu sync.Mutex
	of map[string]int
}

// claim takes the ids in an answer of success for the tenant's, unless they are known.
func (o *owners) claim(tenant int, status int, body []byte) {
	if status/100 != 2 || status == http.StatusNoContent {
		return
	}
	var v any
	if json.Unmarshal(body, &v) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.walk(tenant, v)
}

func (o *owners) walk(tenant int, v any) {
	switch v := v.(type) {
	case map[string]any:
		if id, ok := v["id"].(string); ok && anUUID.MatchString(id) {
			if _, known := o.of[id]; !known {
				o.of[id] = tenant
			}
		}
		for _, e := range v {
			o.walk(tenant, e)
		}
	case []any:
		for _, e := range v {
			o.walk(tenant, e)
		}
	}
}

// foreign gives the first id in the text that is another tenant's and was not in the request.
func (o *owners) foreign(tenant int, text []byte, request string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range anUUID.FindAll(text, -1) {
		if owner, known := o.of[string(id)]; known && owner != tenant && !strings.Contains(request, string(id)) {
			return string(id)
		}
	}
	return ""
}
