package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// expression is PromQL that somebody will send, with what is made of its answer.
type expression struct {
	where  string
	promql string
	labels []string // that the legend and the links need
}

// findings is what was looked at.
type findings struct {
	metrics  map[string]bool // by the name of the catalogue
	matchers map[string][]*labels.Matcher
}

func newFindings() *findings {
	return &findings{metrics: map[string]bool{}, matchers: map[string][]*labels.Matcher{}}
}

// grafana stands for the variables of a dashboard. A value in a matcher stays recognisable.
var grafana = strings.NewReplacer("$__rate_interval", "5m", "$tenant", variableValue, "$workspace", variableValue, "$namespace", variableValue)

const variableValue = "VARIABLE"

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// check parses the expression and looks up everything it names.
func (c catalogue) check(e expression, f *findings) error {
	text := grafana.Replace(e.promql)
	if strings.Contains(text, "$") {
		return fmt.Errorf("%s: a variable is not known: %s", e.where, text)
	}
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", e.where, err, text)
	}
	w := walker{known: c, found: f}
	out := w.outputs(tree)
	for _, name := range e.labels {
		if !slices.Contains(out, name) {
			w.errs = append(w.errs, fmt.Errorf("the legend or a link needs the label %s, the answer has %v", name, out))
		}
	}
	if len(w.errs) > 0 {
		return fmt.Errorf("%s: %w in %s", e.where, errors.Join(w.errs...), text)
	}
	return nil
}

type walker struct {
	known catalogue
	found *findings
	errs  []error
}

func (w *walker) fail(format string, args ...any) {
	w.errs = append(w.errs, fmt.Errorf(format, args...))
}

// outputs gives the labels that the answer of an expression can have, and gathers what is wrong below it.
func (w *walker) outputs(e parser.Expr) []string {
	switch e := e.(type) {
	case *parser.AggregateExpr:
		in := w.outputs(e.Expr)
		if e.Without {
			w.fail("aggregate by labels, not without some: %s", e)
		}
		for _, name := range e.Grouping {
			if !slices.Contains(in, name) {
				w.fail("there is no label %s to group by in %s", name, e)
			}
		}
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return in
		}
		return e.Grouping
	case *parser.Call:
		return w.call(e)
	case *parser.BinaryExpr:
		return w.binary(e)
	case *parser.ParenExpr:
		return w.outputs(e.Expr)
	case *parser.MatrixSelector:
		return w.outputs(e.VectorSelector)
	case *parser.VectorSelector:
		return w.selector(e)
	case *parser.NumberLiteral:
		return nil
	}
	w.fail("the test does not know %T: %s", e, e)
	return nil
}

func (w *walker) call(e *parser.Call) []string {
	switch e.Func.Name {
	case "rate", "increase":
		in := w.outputs(e.Args[0])
		if s, ok := e.Args[0].(*parser.MatrixSelector); ok {
			selector, _ := s.VectorSelector.(*parser.VectorSelector)
			if _, m, _, found := w.known.find(selector.Name); found && m.kind != "counter" && m.kind != "histogram" {
				w.fail("%s of %s, which is a %s", e.Func.Name, selector.Name, m.kind)
			}
		}
		return in
	case "histogram_quantile":
		in := w.outputs(e.Args[1])
		if !slices.Contains(in, "le") {
			w.fail("a quantile without le: %s", e)
		}
		return slices.DeleteFunc(slices.Clone(in), func(s string) bool { return s == "le" })
	case "vector":
		return nil
	}
	w.fail("the test does not know the function %s", e.Func.Name)
	return nil
}

func (w *walker) binary(e *parser.BinaryExpr) []string {
	left, right := w.outputs(e.LHS), w.outputs(e.RHS)
	if e.LHS.Type() == parser.ValueTypeScalar {
		return right
	}
	if e.RHS.Type() == parser.ValueTypeScalar {
		return left
	}
	if e.VectorMatching.On {
		for _, name := range e.VectorMatching.MatchingLabels {
			if !slices.Contains(left, name) || !slices.Contains(right, name) {
				w.fail("not both sides have the label %s: %s", name, e)
			}
		}
		return left
	}
	a, b := slices.Sorted(slices.Values(left)), slices.Sorted(slices.Values(right))
	if !slices.Equal(a, b) {
		w.fail("the sides never match, their labels are %v and %v: %s", a, b, e)
	}
	return left
}

func (w *walker) selector(e *parser.VectorSelector) []string {
	name, _, has, found := w.known.find(e.Name)
	if !found {
		w.fail("there is no metric %s", e.Name)
		return nil
	}
	w.found.metrics[name] = true
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		if !slices.Contains(has, m.Name) {
			w.fail("%s has no label %s", e.Name, m.Name)
		}
		if m.Value != variableValue {
			w.found.matchers[name] = append(w.found.matchers[name], m)
		}
	}
	return has
}
