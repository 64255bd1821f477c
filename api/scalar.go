package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/clock"
)

var (
	uuidType    = reflect.TypeFor[uuid.UUID]()
	timeType    = reflect.TypeFor[time.Time]()
	clockType   = reflect.TypeFor[clock.Time]()
	decimalType = reflect.TypeFor[decimal.Decimal]()
)

const (
	maxDecimal  = 42 // bytes of a decimal number, with its quotes
	unknownNoun = "of the documented format"
)

var errNotCanonical = errors.New("not the 36-character form")

// noun says what a value of the type is, after "must be".
func noun(t reflect.Type) string {
	switch t {
	case uuidType:
		return "a UUID like 0197a7c8-5c4e-7d3a-9f10-3b2a1c0d9e8f"
	case timeType, clockType:
		return "an RFC 3339 time like 2026-01-02T15:04:05Z, from the years 1970 to 9999"
	case decimalType:
		return `a decimal number in a string, like "0.25"`
	}
	if named, ok := reflect.New(t).Interface().(interface{ Noun() string }); ok {
		return named.Noun()
	}
	return unknownNoun
}

// accepts gives "" when a JSON value that begins with c may stand here, else what it must be.
func (s *shape) accepts(c byte) string {
	ok, what := true, ""
	switch s.kind {
	case anything:
	case object, mapping:
		ok, what = c == '{', "must be an object"
	case array:
		ok, what = c == '[', "must be an array"
	case text:
		ok, what = c == '"', "must be a string"
	case integer, unsigned:
		ok, what = c == '-' || c >= '0' && c <= '9', "must be a whole number"
	case number:
		ok, what = c == '-' || c >= '0' && c <= '9', "must be a number"
	case boolean:
		ok, what = c == 't' || c == 'f', "must be true or false"
	case custom:
		ok, what = c == '"' || s.loose, "must be "+s.noun
	}
	if ok {
		return ""
	}
	return what
}

// parseCustom tries a JSON value on a type that reads itself. Ids and times, which most bodies hold, are
// tried without making one.
func parseCustom(t reflect.Type, raw []byte) error {
	switch t {
	case uuidType:
		if len(raw) != 38 { // the other spellings that the package reads name the same thing twice
			return errNotCanonical
		}
		_, err := uuid.ParseBytes(raw[1:37])
		return err
	case timeType, clockType:
		var at time.Time
		if err := at.UnmarshalJSON(raw); err != nil {
			return err
		}
		return checkTime(at)
	case decimalType:
		if len(raw) > maxDecimal || bytes.ContainsAny(raw, "eE") {
			return errors.New("too long, or with an exponent: a short text could stand for gigabytes of digits")
		}
	}
	return json.Unmarshal(raw, reflect.New(t).Interface())
}

// checkTime refuses times that nobody can mean. The first of them all, of the year 1, would stand for no time at all
// further in; times beyond the year 9999 of UTC have no form in which they could be answered.
func checkTime(t time.Time) error {
	if year := t.UTC().Year(); year < 1970 || year > 9999 {
		return errors.New("out of range")
	}
	return nil
}

// setter stores a parameter's text in a field.
type setter func(field reflect.Value, s string) error

// scalar gives the setter for a type that a parameter can have, and what to call its values.
func scalar(t reflect.Type) (set setter, what string, err error) {
	if t.Kind() == reflect.Pointer {
		inner, what, err := scalar(t.Elem())
		if err != nil {
			return nil, "", err
		}
		return func(field reflect.Value, s string) error {
			p := reflect.New(t.Elem())
			if err := inner(p.Elem(), s); err != nil {
				return err
			}
			field.Set(p)
			return nil
		}, what, nil
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return setText, noun(t), nil
	}
	switch k := t.Kind(); {
	case k == reflect.String:
		return func(field reflect.Value, s string) error { field.SetString(s); return nil }, "text", nil
	case k == reflect.Bool:
		return setBool, "true or false", nil
	case k >= reflect.Int && k <= reflect.Int64:
		return setInt, "a whole number", nil
	case k == reflect.Float32 || k == reflect.Float64:
		return setFloat, "a number", nil
	default:
		return nil, "", fmt.Errorf("%s cannot be a parameter", t)
	}
}

func setText(field reflect.Value, s string) error {
	if field.Type() == uuidType && len(s) != 36 {
		return errNotCanonical
	}
	reader, _ := field.Addr().Interface().(encoding.TextUnmarshaler)
	if err := reader.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	if at, ok := field.Interface().(time.Time); ok {
		return checkTime(at)
	}
	return nil
}

func setBool(field reflect.Value, s string) error {
	if s != "true" && s != "false" {
		return errors.New("neither true nor false")
	}
	field.SetBool(s == "true")
	return nil
}

func setInt(field reflect.Value, s string) error {
	n, err := strconv.ParseInt(s, 10, field.Type().Bits())
	if err == nil {
		field.SetInt(n)
	}
	return err
}

func setFloat(field reflect.Value, s string) error {
	n, err := strconv.ParseFloat(s, field.Type().Bits())
	if err == nil {
		field.SetFloat(n)
	}
	return err
}
