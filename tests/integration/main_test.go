package integration

import (
	"os"
	"testing"

	"github.com/larirun/lari/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }
