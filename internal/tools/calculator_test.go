package tools

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/larirun/lari/internal/platform/fault"
	"github.com/larirun/lari/tests/pace"
)

func TestCalculator(t *testing.T) {
	t.Parallel()
	tool := registered(t, Limits{}, NewCalculator())
	for expression, want := range map[string]string{
		"1 + 2 * 3":                            "7",
		"(1 + 2) * 3":                          "9",
		"-2 ** 2":                              "-4",
		"2 ** 3 ** 2":                          "512",
		"2 ^ 10":                               "1024",
		"7 % 3":                                "1",
		"-7 % 3":                               "-1",
		"5.5 % 2":                              "1.5",
		"0.1 + 0.2":                            "0.3",
		"19.99 * 3":                            "59.97",
		"1_000_000 * 3":                        "3000000",
		"0x10 + 0b11 + 0o7":                    "26",
		"010.50":                               "10.5",
		".5 + 1.":                              "1.5",
		"1.5e3":                                "1500",
		"9223372036854775807 + 1":              "9223372036854775808",
		"9007199254740993 * 1":                 "9007199254740993",
		"12345678901234567890 + 1":             "12345678901234567891",
		"123456789012345678901234567890.5 * 2": "246913578024691357802469135781",
		"log2(8) + 99999999999999999999":       "1e+20",
		"2 ** 100":                             "1267650600228229401496703205376",
		"2 ** -2":                              "0.25",
		"1 / 3":                                "0.33333333333333333",
		"10 / 4":                               "2.5",
		"6 / 3":                                "2",
		"(1/3) * 3":                            "1",
		"0 ** 0":                               "1",
		"(-1) ** 99999999999":                  "-1",
		"(-1) ** 99999999998":                  "1",
		"1 ** 99999999999999":                  "1",
		"0 ** 99999999999999":                  "0",
		"sqrt(16)":                             "4",
		"sqrt(2.25)":                           "1.5",
		"sqrt(2)":                              "1.4142135623731",
		"sqrt(10 ** 40)":                       "100000000000000000000",
		"4 ** 0.5":                             "2",
		"cbrt(27)":                             "3",
		"pow(2, 8)":                            "256",
		"abs(-3.5)":                            "3.5",
		"floor(-1.5)":                          "-2",
		"ceil(-1.5)":                           "-1",
		"ceil(1.2)":                            "2",
		"trunc(-1.5)":                          "-1",
		"round(2.5)":                           "3",
		"round(-2.5)":                          "-3",
		"round(2.675, 2)":                      "2.68",
		"round(pi, 4)":                         "3.1416",
		"min(3, 1, 2)":                         "1",
		"max(3, 1 + 4, 2)":                     "5",
		"sin(0)":                               "0",
		"cos(pi)":                              "-1",
		"round(e ** 2, 3)":                     "7.389",
		"log10(1000)":                          "3",
		"ln(e)":                                "1",
		"log(1)":                               "0",
		"exp(0)":                               "1",
		"atan2(1, 1) * 4":                      "3.14159265358979",
		"hypot(3, 4)":                          "5",
		"factorial(20)":                        "2432902008176640000",
		"factorial(0)":                         "1",
		"gcd(12, 18)":                          "6",
		"-16 | abs()":                          "16",
		"6 × 7 ÷ 2 − 1":                        "20",
		"+5 - -5":                              "10",
		"exp(-700) * exp(700)":                 "1",
	} {
		got, err := call(t, tool, map[string]string{"expression": expression})
		if err != nil || got != want {
			t.Errorf("%s gives %q (%v), want %q", expression, got, err, want)
		}
	}
}

func TestCalculatorRefuses(t *testing.T) {
	t.Parallel()
	tool := registered(t, Limits{}, NewCalculator())
	for expression, part := range map[string]string{
		"1 / 0":                         "division by zero",
		"1 % 0":                         "division by zero",
		"0 ** -1":                       "division by zero",
		"1 / (0.1 - 0.1)":               "division by zero",
		"9 ** 9 ** 9":                   "too large",
		"10 ** 100000":                  "too large",
		"2 ** -99999999":                "too large",
		"1.5 ** 99999999999999999999":   "too large",
		"exp(1000)":                     "exp: the result is infinite or too large",
		"pi ** 99999":                   "too large",
		"sqrt(-1)":                      "sqrt: the result is not a real number",
		"(-8) ** 0.5":                   "not a real number",
		"log(0)":                        "infinite",
		"ln(-1)":                        "not a real number",
		"asin(2)":                       "not a real number",
		"factorial(1501)":               "factorial",
		"factorial(-1)":                 "factorial",
		"factorial(1.5)":                "whole number",
		"gcd(1.5, 2)":                   "whole numbers",
		"round(1, 1000000)":             "second argument",
		"round(1, -1)":                  "second argument",
		"1e-400 * 1":                    "too small",
		"1e-99999999":                   "too small",
		"1e400":                         "cannot be read",
		strings.Repeat("9", 400):        "cannot be read",
		"7 // 2":                        "floor(a / b)",
		"1 /* 2 */":                     "floor(a / b)",
		"1 +":                           "cannot be read",
		"(1":                            "cannot be read",
		"1,5":                           "cannot be read",
		"2 3":                           "cannot be read",
		"5!":                            "cannot be read",
		"50% of 80":                     "cannot be read",
		"$5":                            "$5 is not known",
		"1 + \x00":                      "cannot be read",
		"x + 1":                         "x is not known",
		"NaN":                           "NaN is not known",
		"Inf":                           "Inf is not known",
		"env":                           "env is not known",
		"$env":                          "",
		"true":                          "functions are understood",
		"nil":                           "functions are understood",
		`"a" + "b"`:                     "functions are understood",
		"[1, 2]":                        "functions are understood",
		"{a: 1}":                        "functions are understood",
		"[1][0]":                        "functions are understood",
		"{a: 1}.a":                      "functions are understood",
		"math.sqrt(2)":                  "functions are understood",
		"(1).String()":                  "functions are understood",
		"1..1000000000":                 "operator .. is not understood",
		"max(1..1000000000)":            "operator .. is not understood",
		"map(1..9, # * 2)":              "no function map",
		"filter(1..9, true)":            "no function filter",
		"reduce(1..9, #acc + #)":        "no function reduce",
		"sum([1, 2])":                   "no function sum",
		"len([1])":                      "no function len",
		"repeat(\"a\", 100000000)":      "no function repeat",
		"now()":                         "no function now",
		"int(1)":                        "no function int",
		"toJSON(1)":                     "no function toJSON",
		"let x = 1; x":                  "functions are understood",
		"1; 2":                          "functions are understood",
		"1 < 2":                         "operator < is not understood",
		"1 == 1":                        "operator == is not understood",
		"1 in [1]":                      "operator in is not understood",
		"1 ?? 2":                        "operator ?? is not understood",
		"true ? 1 : 2":                  "functions are understood",
		"not 1":                         "operator not is not understood",
		"!1":                            "operator ! is not understood",
		`1 matches "a"`:                 "operator matches is not understood",
		"abs()":                         "abs takes 1 argument, not 0",
		"pow(1)":                        "pow takes 2 arguments, not 1",
		"round(1, 2, 3)":                "round takes 1 to 2 arguments, not 3",
		"abs(1, 2)":                     "abs takes 1 argument, not 2",
		strings.Repeat("1+", 260) + "1": "maxLength",
		strings.Repeat("(", 499):        "cannot be read",
		"":                              "minLength",
		"   ":                           "cannot be read",
	} {
		got, err := call(t, tool, map[string]string{"expression": expression})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), part) {
			t.Errorf("%q gives %q, %v; want an error with %q", expression, got, err, part)
		}
		var known *fault.Error
		if errors.As(err, &known) && len(known.Detail) > 500 {
			t.Errorf("%q: a detail of %d bytes", expression, len(known.Detail))
		}
	}
}

// TestCalculatorIsBounded takes the costliest expressions that the length allows.
func TestCalculatorIsBounded(t *testing.T) {
	t.Parallel()
	for name, expression := range map[string]string{
		"factorials":  strings.TrimSuffix(strings.Repeat("factorial(1500)+", 31), "+"),
		"powers":      strings.TrimSuffix(strings.Repeat("9**5000+", 60), "+"),
		"fractions":   "1" + strings.Repeat("/(1+1", 80) + strings.Repeat(")", 80),
		"nesting":     strings.Repeat("(", 249) + "1" + strings.Repeat(")", 249),
		"signs":       strings.Repeat("-", 499) + "1",
		"roots":       strings.Repeat("sqrt(", 80) + "2" + strings.Repeat(")", 80),
		"denominator": strings.TrimSuffix(strings.Repeat("1/7**4000+", 48), "+"),
		"squares":     "2**(2**(2**(2**2)))" + strings.Repeat("**2", 150),
	} {
		start := pace.Start(t)
		result, err := calculate(expression)
		if took := start.Took(); took > 5*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		if err != nil && !fault.Is(err, fault.Invalid) || len(result) > 10_000 {
			t.Errorf("%s: %d bytes, %v", name, len(result), err)
		}
	}
}

func FuzzCalculator(f *testing.F) {
	for _, seed := range []string{"1+2", "sqrt(2)**-3 % 7", "round(1/3, 2)", "map(1..3, #)", "9**9**9", "0x1p", "1e308*10", "::abs(1)", "a?.b ?? 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		result, err := calculate(expression)
		if err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", expression, err)
		}
		if err == nil && (result == "" || len(result) > 10_000) {
			t.Errorf("%q gives %d bytes", expression, len(result))
		}
	})
}
