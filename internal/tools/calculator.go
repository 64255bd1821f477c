package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"

	"github.com/larirun/lari/internal/platform/fault"
)

// maxExpression bounds the work: with the bound on the size of every number, no expression of this
// many characters takes long or much memory.
const maxExpression = 500

type calculator struct{}

// NewCalculator is the tool calculator. The expr language is used for its grammar alone: its machine
// wraps 64-bit integers silently, so the tree is evaluated here, with exact fractions. Only numbers,
// arithmetic and the functions of one table are understood; there are no names to reach anything by.
func NewCalculator() Tool { return calculator{} }

func (calculator) Definition() Definition {
	return Definition{
		Name: "calculator",
		Description: "Computes an arithmetic expression exactly where possible. Operators: + - * / % ** and parentheses; " +
			"% has the sign of the dividend. Constants: pi, e. Functions (angles in radians, log is natural): " +
			strings.Join(functionNames(), ", ") + ".",
		Parameters: json.RawMessage(fmt.Sprintf(`{"type":"object","additionalProperties":false,"required":["expression"],"properties":{
			"expression":{"type":"string","minLength":1,"maxLength":%d,"description":"Such as (19.99 * 3) / 2 or sqrt(2) ** 3"}}}`,
			maxExpression)),
	}
}

func (calculator) Call(_ context.Context, arguments json.RawMessage) (string, error) {
	var args struct {
		Expression string `json:"expression"`
	}
	if err := json.Unmarshal(arguments, &args); err != nil {
		return "", fault.Wrap(err, fault.Invalid, "the arguments cannot be read")
	}
	return calculate(args.Expression)
}

func calculate(expression string) (string, error) {
	if utf8.RuneCountInString(expression) > maxExpression {
		return "", fault.InvalidField("expression", "maxLength", "must be at most %d characters long", maxExpression)
	}
	// Typographic operators are what models copy out of texts.
	expression = strings.NewReplacer("×", "*", "÷", "/", "−", "-", "·", "*").Replace(expression)
	// The grammar reads these as comments: 7 // 2 would be 7.
	if strings.Contains(expression, "//") || strings.Contains(expression, "/*") {
		return "", mistake("// and /* are not understood; for whole division use floor(a / b)")
	}
	expression, err := widen(expression)
	if err != nil {
		return "", syntaxError(err)
	}
	tree, err := parser.Parse(expression)
	if err != nil {
		return "", syntaxError(err)
	}
	result, err := evaluator{source: []rune(expression)}.eval(tree.Node)
	if err != nil {
		return "", err
	}
	return result.String(), nil
}

// widen writes integers that may not fit into 64 bits with ".0", so that the parser takes them as
// floats; their digits are then read from the source, not from the float.
func widen(expression string) (string, error) {
	tokens, err := lexer.Lex(file.NewSource(expression))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	runes, last := []rune(expression), 0
	for _, t := range tokens {
		if t.Kind == lexer.Number && len(t.Value) > 18 && strings.Trim(t.Value, "0123456789_") == "" {
			b.WriteString(string(runes[last:t.To]) + ".0")
			last = t.To
		}
	}
	return b.String() + string(runes[last:]), nil
}

func mistake(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

func syntaxError(err error) error {
	var at *file.Error
	if errors.As(err, &at) {
		return fault.Wrap(err, fault.Invalid, "the expression cannot be read: %s at character %d", bound(at.Message, 200), at.From+1)
	}
	return fault.Wrap(err, fault.Invalid, "the expression cannot be read")
}

// evaluator walks the tree; a kind of node that it does not name is refused.
type evaluator struct{ source []rune }

func (e evaluator) eval(node ast.Node) (number, error) {
	switch n := node.(type) {
	case *ast.IntegerNode:
		return integer(int64(n.Value)), nil
	case *ast.FloatNode:
		return e.literal(n)
	case *ast.IdentifierNode:
		if c, ok := constants()[n.Value]; ok {
			return c, nil
		}
		return number{}, mistake("%s is not known; the constants are pi and e", bound(n.Value, 100))
	case *ast.UnaryNode:
		return e.unary(n)
	case *ast.BinaryNode:
		return e.binary(n)
	case *ast.BuiltinNode:
		return e.call(n.Name, n.Arguments)
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return e.call(callee.Value, n.Arguments)
		}
	}
	return number{}, mistake("only numbers, + - * / %% **, parentheses and these functions are understood: %s",
		strings.Join(functionNames(), ", "))
}

// literal reads the digits as written, so that 0.1 is a tenth and not the nearest float.
func (e evaluator) literal(n *ast.FloatNode) (number, error) {
	at := n.Location()
	text := strings.ReplaceAll(string(e.source[at.From:at.To]), "_", "")
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	if n.Value == 0 && strings.ContainsAny(mantissa, "123456789") {
		return number{}, mistake("%s is too small", bound(text, 100))
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return number{}, mistake("%s is not a number", bound(text, 100))
	}
	return exact(r)
}

func (e evaluator) unary(n *ast.UnaryNode) (number, error) {
	x, err := e.eval(n.Node)
	if err != nil {
		return number{}, err
	}
	switch n.Operator {
	case "+":
		return x, nil
	case "-":
		return number{new(big.Rat).Neg(x.rat), x.rough}, nil
	}
	return number{}, mistake("the operator %s is not understood", n.Operator)
}

func (e evaluator) binary(n *ast.BinaryNode) (number, error) {
	operator := map[string]func(a, b number) (number, error){
		"+": add, "-": subtract, "*": multiply, "/": divide, "%": remainder, "**": power, "^": power,
	}[n.Operator]
	if operator == nil {
		return number{}, mistake("the operator %s is not understood", n.Operator)
	}
	a, err := e.eval(n.Left)
	if err != nil {
		return number{}, err
	}
	b, err := e.eval(n.Right)
	if err != nil {
		return number{}, err
	}
	return operator(a, b)
}

func (e evaluator) call(name string, arguments []ast.Node) (number, error) {
	f, ok := functions()[name]
	if !ok {
		return number{}, mistake("there is no function %s; the functions are: %s", bound(name, 100), strings.Join(functionNames(), ", "))
	}
	if len(arguments) < f.least || len(arguments) > f.most {
		return number{}, mistake("%s takes %s, not %d", name, f.arity(), len(arguments))
	}
	values := make([]number, 0, len(arguments))
	for _, a := range arguments {
		v, err := e.eval(a)
		if err != nil {
			return number{}, err
		}
		values = append(values, v)
	}
	result, err := f.apply(values)
	var known *fault.Error
	if errors.As(err, &known) {
		return number{}, mistake("%s: %s", name, known.Detail)
	}
	return result, err
}
