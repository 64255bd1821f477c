// Package strictjson decodes JSON on which a decision about security depends: claims, keys, prices.
//
// encoding/json matches names without regard to case (even ſ for s), merges values of equal names and
// replaces invalid UTF-8, so two readers of one text can see two different documents. This package reads
// as encoding/json/v2 of Go 1.27 does: a name is matched exactly, a name that occurs twice in an object is
// an error at every depth, and so are invalid UTF-8 and text after the value (RFC 7493, I-JSON).
package strictjson

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	errNotStrict = errors.New("not one JSON value with unique names in valid UTF-8")
	errNotObject = errors.New("not one JSON object with unique names")
)

// Unmarshal decodes data into the value that into points to. Members without a field are ignored.
func Unmarshal(data []byte, into any) error {
	return json.Unmarshal(data, into)
}

// UnmarshalKnown is Unmarshal that fails on a member without a field.
func UnmarshalKnown(data []byte, into any) error {
	return json.Unmarshal(data, into, json.RejectUnknownMembers(true))
}

// Check returns an error unless data is one JSON value with unique names in valid UTF-8. The error
// repeats nothing of data.
func Check(data []byte) error {
	if !jsontext.Value(data).IsValid() {
		return errNotStrict
	}
	return nil
}

// CheckNames returns an error unless data is one JSON value with unique names. Invalid UTF-8 passes.
func CheckNames(data []byte) error {
	if !jsontext.Value(data).IsValid(jsontext.AllowInvalidUTF8(true)) {
		return errNotStrict
	}
	return nil
}

// Members returns the members of the JSON object in data. Its own names are unique; those within its
// values are not looked at, so that a caller can leave out one bad value and keep the others.
func Members(data []byte) (map[string][]byte, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	if first, err := d.ReadToken(); err != nil || first.Kind() != '{' {
		return nil, errNotObject
	}
	members := map[string][]byte{}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, errNotObject
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, errNotObject
		}
		if _, twice := members[name]; twice {
			return nil, errNotObject
		}
		members[name] = bytes.Clone(value)
	}
	_, err := d.ReadToken()
	if _, after := d.ReadToken(); err != nil || !errors.Is(after, io.EOF) {
		return nil, errNotObject
	}
	return members, nil
}
