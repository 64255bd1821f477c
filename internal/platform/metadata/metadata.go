// Package metadata holds what callers attach to their things: a JSON object that is given back as it
// came and never read.
package metadata

import (
	"bytes"
	"encoding/json"

	"github.com/larirun/lari/internal/platform/fault"
)

// Max bounds the stored form, in bytes of JSON.
const Max = 16 << 10

// Encode gives the stored form; nil is the empty object. Values stay as they were written: a number too
// large for a float keeps its digits, and <, > and & stay one byte each. An object over Max is
// fault.Invalid on the field "metadata".
func Encode(object map[string]json.RawMessage) (json.RawMessage, error) {
	if object == nil {
		return json.RawMessage("{}"), nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The metadata cannot be stored.")
	}
	data := bytes.TrimSpace(b.Bytes())
	if len(data) > Max {
		return nil, fault.InvalidField("metadata", "max", "must be at most %d bytes of JSON", Max)
	}
	return data, nil
}
