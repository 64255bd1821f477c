package api

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
)

// message says a broken rule in words that follow the field's name.
func message(b validator.FieldError) string {
	p := b.Param()
	switch b.Tag() {
	case "required", "required_if", "required_unless", "required_with", "required_without", "required_without_all":
		return "is required"
	case "excluded_if", "excluded_unless", "excluded_with", "excluded_without":
		return "must be absent here"
	case "min", "gte":
		return atLeast(b, p)
	case "max", "lte":
		return atMost(b, p)
	case "gt":
		return "must be greater than " + p
	case "lt":
		return "must be less than " + p
	case "len":
		return "must have exactly " + counted(b, p)
	case "eq":
		return "must be " + p
	case "ne":
		return "must not be " + p
	case "oneof":
		return "must be one of " + strings.Join(strings.Fields(p), ", ")
	case "unique":
		return "must not hold the same value twice"
	case "uuid", "uuid4", "uuid7", "uuid_rfc4122":
		return "must be a UUID"
	case "email":
		return "must be an e-mail address"
	case "url", "uri", "http_url", "https_url":
		return "must be an absolute URL"
	case "hostname", "hostname_rfc1123", "fqdn":
		return "must be a host name"
	case "datetime":
		return "must be a time of the form " + p
	case "timezone":
		return "must be an IANA time zone like Europe/Berlin"
	case "startswith":
		return "must start with " + p
	case "json":
		return "must be JSON"
	}
	return fmt.Sprintf("breaks the rule %s", strings.TrimSuffix(b.Tag()+"="+p, "="))
}

func atLeast(b validator.FieldError, p string) string {
	if sized(b.Kind()) {
		return "must have at least " + counted(b, p)
	}
	return "must be at least " + p
}

func atMost(b validator.FieldError, p string) string {
	if sized(b.Kind()) {
		return "must have at most " + counted(b, p)
	}
	return "must be at most " + p
}

func sized(k reflect.Kind) bool {
	return k == reflect.String || k == reflect.Slice || k == reflect.Map || k == reflect.Array
}

func counted(b validator.FieldError, n string) string {
	what := "item"
	if b.Kind() == reflect.String {
		what = "character"
	}
	if n == "1" {
		return "1 " + what
	}
	return n + " " + what + "s"
}
