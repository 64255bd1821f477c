package tools

import (
	"math"
	"math/big"
)

// number is a fraction. A rough one went through floating point: it is rounded to a float64 after every
// step and shown with the 15 digits that are worth showing.
type number struct {
	rat   *big.Rat
	rough bool
}

// maxBits bounds numerator and denominator: about 4,900 decimal digits.
const maxBits = 1 << 14

func integer(n int64) number { return number{rat: new(big.Rat).SetInt64(n)} }

func exact(r *big.Rat) (number, error) {
	if r.Num().BitLen() > maxBits || r.Denom().BitLen() > maxBits {
		return number{}, mistake("the result has too many digits")
	}
	return number{rat: r}, nil
}

// rough takes a float64 that a function gave.
func rough(f float64) (number, error) {
	switch {
	case math.IsNaN(f):
		return number{}, mistake("the result is not a real number")
	case math.IsInf(f, 0):
		return number{}, mistake("the result is infinite or too large")
	}
	return number{rat: new(big.Rat).SetFloat64(f), rough: true}, nil
}

func (n number) float() float64 {
	f, _ := n.rat.Float64()
	return f
}

// derived gives the result of an exact step; it is rough when one of the numbers it came from was.
func derived(r *big.Rat, from ...number) (number, error) {
	for _, n := range from {
		if n.rough {
			f, _ := r.Float64()
			return rough(f)
		}
	}
	return exact(r)
}

func add(a, b number) (number, error)      { return derived(new(big.Rat).Add(a.rat, b.rat), a, b) }
func subtract(a, b number) (number, error) { return derived(new(big.Rat).Sub(a.rat, b.rat), a, b) }
func multiply(a, b number) (number, error) { return derived(new(big.Rat).Mul(a.rat, b.rat), a, b) }

func divide(a, b number) (number, error) {
	if b.rat.Sign() == 0 {
		return number{}, mistake("division by zero")
	}
	return derived(new(big.Rat).Quo(a.rat, b.rat), a, b)
}

// remainder has the sign of the dividend, as in C, Go and JavaScript.
func remainder(a, b number) (number, error) {
	if b.rat.Sign() == 0 {
		return number{}, mistake("division by zero")
	}
	quotient := truncate(new(big.Rat).Quo(a.rat, b.rat))
	product := new(big.Rat).Mul(new(big.Rat).SetInt(quotient), b.rat)
	return derived(product.Sub(a.rat, product), a, b)
}

// power is exact for whole exponents of exact numbers; the size of the result is estimated first.
func power(base, exponent number) (number, error) {
	if base.rat.Sign() == 0 && exponent.rat.Sign() < 0 {
		return number{}, mistake("division by zero")
	}
	if base.rough || exponent.rough || !exponent.rat.IsInt() {
		return rough(math.Pow(base.float(), exponent.float()))
	}
	n := exponent.rat.Num()
	if one := big.NewRat(1, 1); base.rat.Sign() == 0 || new(big.Rat).Abs(base.rat).Cmp(one) == 0 {
		switch {
		case n.Sign() == 0, base.rat.Cmp(one) == 0, base.rat.Sign() < 0 && n.Bit(0) == 0:
			return number{rat: one}, nil
		default:
			return base, nil
		}
	}
	// |n| factors of at least bits-1 bits each.
	bits := int64(max(base.rat.Num().BitLen(), base.rat.Denom().BitLen()))
	if !n.IsInt64() || n.Int64() > maxBits || n.Int64() < -maxBits || (bits-1)*max(n.Int64(), -n.Int64()) > maxBits {
		return number{}, mistake("the power is too large")
	}
	magnitude := new(big.Int).Abs(n)
	r := new(big.Rat).SetFrac(
		new(big.Int).Exp(base.rat.Num(), magnitude, nil), new(big.Int).Exp(base.rat.Denom(), magnitude, nil))
	if n.Sign() < 0 {
		r.Inv(r)
	}
	return exact(r)
}

func truncate(r *big.Rat) *big.Int { return new(big.Int).Quo(r.Num(), r.Denom()) }

// floor relies on the denominator being positive: Euclidean division then rounds down.
func floor(r *big.Rat) *big.Int { return new(big.Int).Div(r.Num(), r.Denom()) }

func ceiling(r *big.Rat) *big.Int {
	n := floor(new(big.Rat).Neg(r))
	return n.Neg(n)
}

// maxDecimals is how many digits after the point are shown of a fraction that ends.
const maxDecimals = 40

// String gives whole numbers and decimal fractions that end in full, other fractions with 17 digits.
func (n number) String() string {
	if n.rough {
		return decimal(n.rat, 15)
	}
	if n.rat.IsInt() {
		return n.rat.Num().String()
	}
	if digits, ends := n.rat.FloatPrec(); ends && digits <= maxDecimals {
		return n.rat.FloatString(digits)
	}
	return decimal(n.rat, 17)
}

func decimal(r *big.Rat, digits int) string {
	return new(big.Float).SetPrec(256).SetRat(r).Text('g', digits)
}
