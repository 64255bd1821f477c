package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Environment says whether the process serves strangers.
type Environment string

// The closed list of environments.
const (
	Production  Environment = "production"
	Development Environment = "development"
)

// LogFormat is the form of a log line.
type LogFormat string

// The closed list of log formats.
const (
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// Bytes is a size.
type Bytes int64

type unit struct {
	suffix string
	size   int64
}

// units are IEC 80000-13 multiples, the largest first.
func units() []unit { return []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} }

// String gives the size in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range units() {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

func parseBytes(text string) (Bytes, error) {
	number, factor := text, int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("must be a number of bytes, or a number with KiB, MiB or GiB, such as 4MiB")
	}
	if n > (1<<62)/factor {
		return 0, fmt.Errorf("must be less than %d bytes", int64(1)<<62)
	}
	return Bytes(n * factor), nil
}
