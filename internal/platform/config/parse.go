package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/larirun/lari/internal/platform/llm"
	"github.com/larirun/lari/internal/platform/tracing"
)

// parse sets the field from text. The error says what would be right, as the end of a sentence that
// begins with the variable's name; it never holds the text.
func (v variable) parse(text string) error {
	switch field := v.value.Addr().Interface().(type) {
	case *string:
		*field = text
		return matches(v.rule, text)
	case *Secret:
		*field = NewSecret(text)
		return matches(v.rule, text)
	case *URL:
		*field = NewURL(text)
		return matches(v.rule, text)
	case *Environment:
		return v.choose(text, (*string)(field), string(Production), string(Development))
	case *LogFormat:
		return v.choose(text, (*string)(field), string(LogJSON), string(LogText))
	case *tracing.Sampler:
		return v.choose(text, (*string)(field), samplers()...)
	case *float64:
		return v.share(text, field)
	case *slog.Level:
		return parseLevel(text, field)
	case *bool:
		return parseBool(text, field)
	case **bool:
		*field = new(bool)
		return parseBool(text, *field)
	case *int:
		n, err := v.number(text, math.MinInt, math.MaxInt)
		*field = int(n)
		return err
	case *int32:
		n, err := v.number(text, math.MinInt32, math.MaxInt32)
		*field = int32(n) //nolint:gosec // G115: number keeps it in range
		return err
	case *Buckets:
		return parseBuckets(text, field)
	case *Bytes:
		return v.size(text, field)
	case *time.Duration:
		return v.duration(text, field)
	case *[]netip.Prefix:
		return parsePrefixes(text, field)
	case *Origins:
		return parseOrigins(text, field)
	case *llm.PriceTable:
		return parsePrices(text, field)
	default:
		return fmt.Errorf("has a type that cannot be read: %s", v.value.Type())
	}
}

func (v variable) choose(text string, field *string, choices ...string) error {
	for _, choice := range choices {
		if strings.EqualFold(text, choice) {
			*field = choice
			return nil
		}
	}
	return fmt.Errorf("must be %s", strings.Join(choices, " or "))
}

func parseLevel(text string, field *slog.Level) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(text)]
	if !ok {
		return errors.New("must be debug, info, warn or error")
	}
	*field = level
	return nil
}

// parseBool takes the words that Temporal's tools take.
func parseBool(text string, field *bool) error {
	switch strings.ToLower(text) {
	case "true", "1":
		*field = true
	case "false", "0":
		*field = false
	default:
		return errors.New("must be true or false")
	}
	return nil
}

func (v variable) number(text string, least, most int64) (int64, error) {
	low, high := least, most
	if n, err := strconv.ParseInt(v.low, 10, 64); err == nil {
		low = n
	}
	if n, err := strconv.ParseInt(v.high, 10, 64); err == nil {
		high = n
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("must be a whole number from %d to %d", low, high)
	}
	return n, nil
}

// share reads a decimal number within the limits, which both are given.
func (v variable) share(text string, field *float64) error {
	low, errLow := strconv.ParseFloat(v.low, 64)
	high, errHigh := strconv.ParseFloat(v.high, 64)
	n, err := strconv.ParseFloat(text, 64)
	if errors.Join(err, errLow, errHigh) != nil || !(n >= low && n <= high) { // also what is not a number
		return fmt.Errorf("must be a number from %s to %s", v.low, v.high)
	}
	*field = n
	return nil
}

func samplers() []string {
	var names []string
	for _, s := range tracing.Samplers() {
		names = append(names, string(s))
	}
	return names
}

func (v variable) size(text string, field *Bytes) error {
	size, err := parseBytes(text)
	if err != nil {
		return err
	}
	low, errLow := parseBytes(v.low)
	high, errHigh := parseBytes(v.high)
	if errLow == nil && size < low || errHigh == nil && size > high {
		return fmt.Errorf("must be from %s to %s", v.low, v.high)
	}
	*field = size
	return nil
}

func (v variable) duration(text string, field *time.Duration) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("must be a duration with a unit, such as 500ms, 30s or 5m, from %s to %s", v.low, v.high)
	}
	low, errLow := time.ParseDuration(v.low)
	high, errHigh := time.ParseDuration(v.high)
	if errLow == nil && d < low || errHigh == nil && d > high {
		return fmt.Errorf("must be from %s to %s", v.low, v.high)
	}
	*field = d
	return nil
}

func parsePrefixes(text string, field *[]netip.Prefix) error {
	var out []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			if addr, err := netip.ParseAddr(part); err == nil && addr.Zone() == "" {
				return fmt.Errorf("must be a list of networks: write %s/%d for the one address", addr, addr.BitLen())
			}
			return fmt.Errorf("must be a list of networks such as 10.0.0.0/8,fd00::/8; %q is not one", part)
		}
		if prefix.Addr().Is4In6() {
			return fmt.Errorf("must give IPv4 networks as IPv4, unlike %s", prefix)
		}
		if prefix != prefix.Masked() {
			return fmt.Errorf("must give networks without host bits: %s, or %s/%d for the one address",
				prefix.Masked(), prefix.Addr(), prefix.Addr().BitLen())
		}
		out = append(out, prefix)
	}
	*field = out
	return nil
}

func parsePrices(text string, field *llm.PriceTable) error {
	prices, err := llm.ParsePrices([]byte(text))
	if err != nil {
		return fmt.Errorf(`must be JSON such as {"gpt-4.1": {"input": "2.00", "output": "8.00"}}: %s`,
			strings.TrimPrefix(err.Error(), "model prices: "))
	}
	*field = prices
	return nil
}
