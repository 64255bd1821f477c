package storable

import (
	"strconv"
	"strings"
)

// maxDigits bounds how a number is written. Postgres' numeric has room for 131,072 digits before the point and
// 16,383 behind it, and writes all of them out: twelve bytes of JSON could become 128 KiB.
const maxDigits = 1000

// A zero may have any exponent for float64. numeric refuses the greatest, and writes out the digits of negative ones.
const (
	minZeroExponent = -400
	maxZeroExponent = 131_071
)

// FitsNumber reports whether a JSON number can be kept: it lies within float64, is not so small that float64 reads
// zero, and is written in at most 1000 characters. Whole numbers keep their digits, also those that float64 rounds.
func FitsNumber(digits string) bool {
	if len(digits) > maxDigits {
		return false
	}
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return false
	}
	if value != 0 {
		return true
	}
	mantissa, exponent, written := strings.Cut(strings.ToLower(digits), "e")
	if strings.ContainsAny(mantissa, "123456789") {
		return false
	}
	if !written {
		return true
	}
	n, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
	return err == nil && n >= minZeroExponent && n <= maxZeroExponent
}
