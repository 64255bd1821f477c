package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"

	"github.com/larirun/lari/internal/platform/llm"
)

// Redacted gives the values in force by variable name, in the order of the reference page and without
// secrets, for the log of a starting process. Variables without a value are left out.
func (c Config) Redacted() []slog.Attr {
	var out []slog.Attr
	for _, v := range variables(&c) {
		if text := v.shown(); text != "" {
			out = append(out, slog.String(v.name, text))
		}
	}
	return out
}

// LogValue is Redacted as a group.
func (c Config) LogValue() slog.Value { return slog.GroupValue(c.Redacted()...) }

func (v variable) shown() string {
	switch value := v.value.Interface().(type) {
	case *bool:
		if value == nil {
			return ""
		}
		return strconv.FormatBool(*value)
	case []netip.Prefix:
		var list []string
		for _, prefix := range value {
			list = append(list, prefix.String())
		}
		return strings.Join(list, ",")
	case Origins:
		return strings.Join(value, ",")
	case slog.Level:
		return strings.ToLower(value.String())
	case llm.PriceTable:
		return strconv.Itoa(len(value)) + " models"
	default:
		return fmt.Sprint(value) // Secret and URL redact themselves
	}
}
