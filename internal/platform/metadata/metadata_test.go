package metadata_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/internal/platform/metadata"
)

func TestMetadataStaysAsItWasWritten(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]map[string]json.RawMessage{
		`{}`:                      nil,
		`{"n":9007199254740993}`:  {"n": json.RawMessage(`9007199254740993`)},
		`{"a<":"<&>"}`:            {"a<": json.RawMessage(`"<&>"`)},
		`{"a":[1.5,null],"b":{}}`: {"b": json.RawMessage(`{}`), "a": json.RawMessage(`[1.5, null]`)},
	} {
		if got, err := metadata.Encode(in); err != nil || string(got) != want {
			t.Errorf("%s is stored as %s (error %v)", want, got, err)
		}
	}
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	text := func(n int) map[string]json.RawMessage {
		return map[string]json.RawMessage{"a": json.RawMessage(`"` + strings.Repeat("<", n) + `"`)}
	}
	fits := metadata.Max - len(`{"a":""}`)
	if got, err := metadata.Encode(text(fits)); err != nil || len(got) != metadata.Max {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	if _, err := metadata.Encode(text(fits + 1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a byte too many: error %v", err)
	}
}
