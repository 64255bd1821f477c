package api

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
)

// node walks a decoded JSON document.
type node struct{ v any }

func (n node) at(path ...string) node {
	for _, name := range path {
		m, _ := n.v.(map[string]any)
		n = node{m[name]}
	}
	return n
}

func (n node) is(t *testing.T, want string) {
	t.Helper()
	got, err := json.Marshal(n.v)
	if err != nil || string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func describeThings(t *testing.T) (raw []byte, doc node) {
	t.Helper()
	raw, err := describe(thingRoutes(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc.v); err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

func TestDescription(t *testing.T) {
	t.Parallel()
	raw, doc := describeThings(t)
	doc.at("openapi").is(t, `"3.1.0"`)
	doc.at("info", "version").is(t, `"1.2.3"`)
	put := doc.at("paths", "/v1/things/{thing_id}", "put")
	put.at("operationId").is(t, `"putThing"`)
	put.at("security").is(t, `[{"bearer":["run:create"]},{"apiKey":["run:create"]}]`)
	put.at("requestBody", "required").is(t, `true`)
	put.at("responses", "202", "content", "application/json", "schema").is(t, `{"$ref":"#/components/schemas/ThingView"}`)
	for _, status := range []string{"400", "401", "403", "404", "413", "415", "422", "429", "500", "503"} {
		put.at("responses", status).is(t, `{"$ref":"#/components/responses/Problem`+status+`"}`)
	}
	body := doc.at("components", "schemas", "Thing")
	body.at("required").is(t, `["name"]`)
	body.at("additionalProperties").is(t, `false`)
	body.at("properties", "name", "maxLength").is(t, `20`)
	body.at("properties", "color", "enum").is(t, `["red","green"]`)
	body.at("properties", "parts", "maxItems").is(t, `3`)
	body.at("properties", "share", "maximum").is(t, `1`)
	body.at("properties", "thing_id").is(t, `null`)
	doc.at("components", "schemas", "Part", "properties", "role", "enum").is(t, `["user","assistant"]`)
	doc.at("components", "schemas", "Nested", "properties", "max_steps", "minimum").is(t, `1`)
	doc.at("components", "schemas", "ThingView", "required").is(t, `["id","name","dry"]`)
	doc.at("components", "schemas", "ThingView", "properties", "id").is(t, `{"format":"uuid","type":"string"}`)
	doc.at("paths", "/v1/panic", "get", "security").is(t, `[{}]`)
	doc.at("paths", "/v1/openapi.json").is(t, `null`)

	again, _ := describeThings(t)
	if !slices.Equal(raw, again) {
		t.Error("the same table gives another description")
	}
}

// TestDescriptionIsWhole follows every reference and looks for a place-holder in every path.
func TestDescriptionIsWhole(t *testing.T) {
	t.Parallel()
	raw, doc := describeThings(t)
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllSubmatch(raw, -1) {
		var path []string
		for _, p := range regexp.MustCompile(`[^/]+`).FindAll(m[1], -1) {
			path = append(path, string(p))
		}
		if doc.at(path...).v == nil {
			t.Errorf("nothing at %s", m[1])
		}
	}
	paths, _ := doc.at("paths").v.(map[string]any)
	for path, item := range paths {
		for method := range item.(map[string]any) { // a test of a known form
			parameters, _ := doc.at("paths", path, method, "parameters").v.([]any)
			for _, m := range placeholder.FindAllStringSubmatch(path, -1) {
				if !slices.ContainsFunc(parameters, func(p any) bool {
					return node{p}.at("name").v == m[1] && node{p}.at("in").v == "path" && node{p}.at("required").v == true
				}) {
					t.Errorf("%s %s does not describe {%s}", method, path, m[1])
				}
			}
		}
	}
}
