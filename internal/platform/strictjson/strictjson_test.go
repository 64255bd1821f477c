package strictjson_test

import (
	"encoding/json"
	"testing"

	"github.com/larirun/lari/internal/platform/strictjson"
)

type document struct {
	Role string `json:"role"`
	App  struct {
		Tenants map[string]string `json:"tenants"`
	} `json:"app_metadata"`
}

func TestUnmarshal_MatchesNamesExactly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"Role":"owner","APP_METADATA":{"tenants":{"a":"owner"}}}`,
		`{"app_metadata":{"Tenants":{"a":"owner"},"tenant\u017f":{"a":"owner"}}}`,
	} {
		var d document
		if err := strictjson.Unmarshal([]byte(text), &d); err != nil || d.Role != "" || len(d.App.Tenants) != 0 {
			t.Errorf("%s is read as %+v, %v", text, d, err)
		}
		if err := strictjson.UnmarshalKnown([]byte(text), &d); err == nil {
			t.Errorf("%s has no unknown name", text)
		}
	}
}

func TestUnmarshal_RefusesDuplicates(t *testing.T) {
	t.Parallel()
	for text, members := range map[string]bool{ // whether Members takes it
		`{"role":"viewer","role":"owner"}`:               false,
		`{"role":"viewer","r\u006fle":"owner"}`:          false,
		`{"app_metadata":{"tenants":{"a":"x","a":"y"}}}`: true,
		`{"app_metadata":{},"app_metadata":{}}`:          false,
		`{"unknown":[{"deep":{"a":1,"a":1}}]}`:           true,
		`{"role":"viewer"} {"role":"owner"}`:             false,
		`{"role":"viewer"}x`:                             false,
		`{"role":"viewer"`:                               false,
		`{"role":"viewer",}`:                             false,
		`{"unknown":{"a":1,}}`:                           false,
		``:                                               false,
		"{\"role\":\"\xff\"}":                            false,
		`{"role":"\ud800"}`:                              false,
	} {
		var d document
		if err := strictjson.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is read as %+v", text, d)
		}
		if strictjson.Check([]byte(text)) == nil {
			t.Errorf("%s passes", text)
		}
		if _, err := strictjson.Members([]byte(text)); (err == nil) != members {
			t.Errorf("the members of %s: %v", text, err)
		}
	}
	if _, err := strictjson.Members([]byte(`[1]`)); err == nil {
		t.Error("a list has members")
	}
}

// FuzzCheck compares with encoding/json: what passes is valid JSON in which the first and the last of equal
// names are the same.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{`{"a":1,"a":2}`, `{"a":{"b":[{"c":null}]}}`, `"\u0000"`, `1e999`, "\xff", `{"":0}`, `[1,]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strictjson.Check(text) != nil {
			return
		}
		if !json.Valid(text) || strictjson.CheckNames(text) != nil {
			t.Fatalf("%q passes and is no JSON", text)
		}
		members, err := strictjson.Members(text)
		if err != nil {
			return // not an object
		}
		loose := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &loose); err != nil || len(loose) != len(members) {
			t.Fatalf("%q has %d members, encoding/json finds %d (%v)", text, len(members), len(loose), err)
		}
	})
}
