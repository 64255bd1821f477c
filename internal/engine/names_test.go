package engine

import (
	"reflect"
	"testing"

	deploymentpb "go.temporal.io/api/deployment/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"

	"github.com/larirun/lari/activities"
)

// Activities are registered by their methods' names.
func TestNamesOfActivities(t *testing.T) {
	t.Parallel()
	for _, name := range []string{callModel, callTool} {
		if _, ok := reflect.TypeFor[*activities.Activities]().MethodByName(name); !ok {
			t.Errorf("there is no activity %s", name)
		}
	}
}

func TestBuilds(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]*taskqueuepb.PollerInfo{
		"1.4.0":   {Identity: "host/17@1.4.0", DeploymentOptions: &deploymentpb.WorkerDeploymentOptions{BuildId: "b"}},
		"b":       {Identity: "17@host", DeploymentOptions: &deploymentpb.WorkerDeploymentOptions{BuildId: "b"}},
		"unknown": {Identity: ""},
	} {
		if got := buildOf(p); got != want {
			t.Errorf("%v is of the build %q, want %q", p, got, want)
		}
	}
}
