package tools

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
)

// function is one entry of the calculator's table.
type function struct {
	least, most int
	apply       func([]number) (number, error)
}

func (f function) arity() string {
	switch {
	case f.least == f.most && f.least == 1:
		return "1 argument"
	case f.least == f.most:
		return fmt.Sprintf("%d arguments", f.least)
	default:
		return fmt.Sprintf("%d to %d arguments", f.least, f.most)
	}
}

func constants() map[string]number {
	pi, e := new(big.Rat).SetFloat64(math.Pi), new(big.Rat).SetFloat64(math.E)
	return map[string]number{"pi": {pi, true}, "e": {e, true}}
}

func functionNames() []string { return slices.Sorted(maps.Keys(functions())) }

func functions() map[string]function {
	return map[string]function{
		"abs":   one(func(x number) (number, error) { return number{new(big.Rat).Abs(x.rat), x.rough}, nil }),
		"ceil":  whole(ceiling),
		"floor": whole(floor),
		"trunc": whole(truncate),
		"round": {1, 2, round},
		"min":   {1, maxExpression, extreme(-1)},
		"max":   {1, maxExpression, extreme(1)},
		"pow":   {2, 2, func(x []number) (number, error) { return power(x[0], x[1]) }},

		"sqrt":      one(squareRoot),
		"factorial": one(factorial),
		"gcd":       {2, 2, greatestDivisor},

		"cbrt": float(math.Cbrt), "exp": float(math.Exp),
		"ln": float(math.Log), "log": float(math.Log), "log2": float(math.Log2), "log10": float(math.Log10),
		"sin": float(math.Sin), "cos": float(math.Cos), "tan": float(math.Tan),
		"asin": float(math.Asin), "acos": float(math.Acos), "atan": float(math.Atan),
		"sinh": float(math.Sinh), "cosh": float(math.Cosh), "tanh": float(math.Tanh),
		"atan2": float2(math.Atan2), "hypot": float2(math.Hypot),
	}
}

func one(f func(number) (number, error)) function {
	return function{1, 1, func(x []number) (number, error) { return f(x[0]) }}
}

func whole(f func(*big.Rat) *big.Int) function {
	return one(func(x number) (number, error) { return exact(new(big.Rat).SetInt(f(x.rat))) })
}

func float(f func(float64) float64) function {
	return one(func(x number) (number, error) { return rough(f(x.float())) })
}

func float2(f func(a, b float64) float64) function {
	return function{2, 2, func(x []number) (number, error) { return rough(f(x[0].float(), x[1].float())) }}
}

func extreme(sign int) func([]number) (number, error) {
	return func(x []number) (number, error) {
		best := x[0]
		for _, n := range x[1:] {
			if n.rat.Cmp(best.rat) == sign {
				best = n
			}
		}
		return best, nil
	}
}

// round(x) and round(x, decimals) take halves away from zero.
func round(x []number) (number, error) {
	decimals := int64(0)
	if len(x) == 2 {
		n := x[1].rat
		if !n.IsInt() || n.Cmp(big.NewRat(0, 1)) < 0 || n.Cmp(big.NewRat(maxDecimals, 1)) > 0 {
			return number{}, mistake("the second argument must be a whole number from 0 to %d", maxDecimals)
		}
		decimals = n.Num().Int64()
	}
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals), nil))
	scaled := new(big.Rat).Mul(new(big.Rat).Abs(x[0].rat), scale)
	rounded := new(big.Rat).SetInt(floor(scaled.Add(scaled, big.NewRat(1, 2))))
	if x[0].rat.Sign() < 0 {
		rounded.Neg(rounded)
	}
	return exact(rounded.Quo(rounded, scale))
}

// squareRoot is exact for squares of fractions.
func squareRoot(x number) (number, error) {
	if x.rat.Sign() < 0 {
		return number{}, mistake("the result is not a real number")
	}
	num, denom := new(big.Int).Sqrt(x.rat.Num()), new(big.Int).Sqrt(x.rat.Denom())
	root := new(big.Rat).SetFrac(num, denom)
	if !x.rough && new(big.Rat).Mul(root, root).Cmp(x.rat) == 0 {
		return exact(root)
	}
	return rough(math.Sqrt(x.float()))
}

func factorial(x number) (number, error) {
	const most = 1500 // 4,115 digits
	if !x.rat.IsInt() || x.rat.Sign() < 0 || x.rat.Cmp(big.NewRat(most, 1)) > 0 {
		return number{}, mistake("the argument must be a whole number from 0 to %d", most)
	}
	return exact(new(big.Rat).SetInt(new(big.Int).MulRange(1, x.rat.Num().Int64())))
}

func greatestDivisor(x []number) (number, error) {
	if !x[0].rat.IsInt() || !x[1].rat.IsInt() {
		return number{}, mistake("the arguments must be whole numbers")
	}
	return exact(new(big.Rat).SetInt(new(big.Int).GCD(nil, nil, x[0].rat.Num(), x[1].rat.Num())))
}
