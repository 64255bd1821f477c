package api

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"
	"github.com/shopspring/decimal"

	"github.com/larirun/lari/internal/platform/fault"
)

// Checker is an input with rules that tags cannot say, such as "one of two". Check is called when all
// tags hold and gives a *fault.Error.
type Checker interface{ Check() error }

// embedded stands for the names of embedded structs, which do not appear in requests.
const embedded = "~"

// newValidator knows fields by the names that they have in requests.
func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		for _, tag := range []string{"json", "query", "path", "header"} {
			if name, _, _ := strings.Cut(f.Tag.Get(tag), ","); name != "" && name != "-" {
				return name
			}
		}
		if f.Anonymous {
			return embedded
		}
		return f.Name
	})
	v.RegisterCustomTypeFunc(func(field reflect.Value) any {
		d, _ := field.Interface().(decimal.Decimal)
		return d.InexactFloat64()
	}, decimal.Decimal{})
	return v
}

// checkRules finds validate tags that the validator does not know; it would panic over them later.
func checkRules(t reflect.Type) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the validate tags of %s: %v", t, r)
		}
	}()
	var broken *validator.InvalidValidationError
	if err := newValidator().Struct(reflect.New(t).Interface()); errors.As(err, &broken) {
		return fmt.Errorf("the validate tags of %s: %w", t, err)
	}
	return nil
}

// validate holds the input to its rules.
func validate(v *validator.Validate, p *plan, in any) error {
	if p.rules {
		if err := v.Struct(in); err != nil {
			return invalid(err)
		}
	}
	if c, ok := in.(Checker); ok {
		return c.Check()
	}
	return nil
}

func invalid(err error) error {
	var broken validator.ValidationErrors
	if !errors.As(err, &broken) {
		return fault.Wrap(err, fault.Internal, "validation failed to run")
	}
	out := &fault.Error{Code: fault.Invalid}
	for _, b := range broken {
		out.Fields = append(out.Fields, fault.Field{Field: place(b.Namespace()), Rule: b.Tag(), Message: message(b)})
	}
	out.Detail = out.Fields[0].Field + " " + out.Fields[0].Message
	if n := len(out.Fields); n > 1 {
		out.Detail += fmt.Sprintf(" (and %d more)", n-1)
	}
	return out
}

// place drops the type's name and the embedded structs from a namespace like CreateRun.~.budget.max_steps.
func place(namespace string) string {
	_, path, _ := strings.Cut(namespace, ".")
	return strings.ReplaceAll(path, embedded+".", "")
}
