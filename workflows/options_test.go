package workflows

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// localOptions and activityOptions are all the options with which workflows have something executed, by the function
// that makes them; TestOptions_AreMadeInOnePlace demands that none is missing.
func localOptions() map[string]workflow.LocalActivityOptions {
	return map[string]workflow.LocalActivityOptions{"recordOptions": recordOptions("")}
}

func activityOptions() map[string]workflow.ActivityOptions {
	return map[string]workflow.ActivityOptions{
		"stepOptions": stepOptions(0, ""), "deliveryOptions": deliveryOptions(""), "firingOptions": firingOptions(time.Time{}),
		"stopFiringOptions": stopFiringOptions(), "deletionOptions": deletionOptions(), "passOptions": passOptions(),
	}
}

// workflowTaskTimeout is the server's default, which no run changes.
const workflowTaskTimeout = 10 * time.Second

func TestOptions_HaveBothLimits(t *testing.T) {
	t.Parallel()
	check := func(name string, all, one time.Duration, retry *temporal.RetryPolicy) {
		switch {
		case one <= 0 || all <= 0:
			t.Errorf("%s: a limit is left to the SDK: %s of one try, %s of all", name, one, all)
		case all < one:
			t.Errorf("%s: all tries have %s, one of them %s", name, all, one)
		case retry == nil || retry.InitialInterval <= 0 || retry.BackoffCoefficient < 1 || retry.MaximumInterval <= 0:
			t.Errorf("%s: the retry policy is left to the SDK: %+v", name, retry)
		case retry.MaximumAttempts != 0:
			t.Errorf("%s: at most %d tries; an outage of Postgres uses them up", name, retry.MaximumAttempts)
		}
	}
	for name, o := range localOptions() {
		check(name, o.ScheduleToCloseTimeout, o.StartToCloseTimeout, o.RetryPolicy)
		if o.ScheduleToCloseTimeout < 24*time.Hour {
			t.Errorf("%s: Postgres may be away for longer than %s", name, o.ScheduleToCloseTimeout)
		}
		if o.RetryPolicy.MaximumInterval <= workflowTaskTimeout {
			t.Errorf("%s: with pauses of at most %s a long wait keeps a workflow task alive", name, o.RetryPolicy.MaximumInterval)
		}
		tries := o.ScheduleToCloseTimeout / o.RetryPolicy.MaximumInterval
		if events := 6 * tries; events > 51_200*2/3 {
			t.Errorf("%s: waiting to the end takes %d events, of the 51,200 that a history may have", name, events)
		}
	}
	for name, o := range activityOptions() {
		check(name, o.ScheduleToCloseTimeout, o.StartToCloseTimeout, o.RetryPolicy)
	}
	if o := stepOptions(time.Minute, ""); o.ScheduleToCloseTimeout <= time.Minute || o.StartToCloseTimeout <= time.Minute {
		t.Errorf("a step with a minute left is given %+v", o)
	}
}

// TestOptions_AreMadeInOnePlace reads the package's source: options that are made or changed elsewhere are in no list.
func TestOptions_AreMadeInOnePlace(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) < 10 {
		t.Fatalf("the package's files are %v: %v", paths, err)
	}
	var made []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if path == "options.go" {
			made = makers(file)
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch name := s.Sel.Name; {
			case name == "ActivityOptions", name == "LocalActivityOptions":
				t.Errorf("%s makes %s; options.go is the place", path, name)
			case name == "RetryPolicy", name == "WithRetryPolicy", strings.HasSuffix(name, "CloseTimeout"), strings.HasSuffix(name, "StartTimeout"):
				t.Errorf("%s changes options (%s); options.go is the place", path, name)
			}
			return true
		})
	}
	for _, name := range made {
		_, local := localOptions()[name]
		if _, ok := activityOptions()[name]; !ok && !local {
			t.Errorf("%s is in no list of this test", name)
		}
	}
	if want := len(localOptions()) + len(activityOptions()); len(made) != want {
		t.Errorf("options.go makes %v, the test knows %d", made, want)
	}
}

// makers returns the names of the file's functions that return options.
func makers(file *ast.File) (names []string) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Type.Results == nil {
			continue
		}
		returns := slices.ContainsFunc(f.Type.Results.List, func(r *ast.Field) bool {
			s, ok := r.Type.(*ast.SelectorExpr)
			return ok && strings.HasSuffix(s.Sel.Name, "ActivityOptions")
		})
		if returns {
			names = append(names, f.Name.Name)
		}
	}
	return names
}
