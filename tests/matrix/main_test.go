// Package matrix calls every route of the table as every role with every form of credential. What each cell
// is to be answered is derived from the table: a route that is added is covered without a test of its own.
package matrix

import (
	"os"
	"testing"

	"github.com/larirun/lari/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }
