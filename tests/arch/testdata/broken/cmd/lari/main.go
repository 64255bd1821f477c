// Command lari may panic and sees all but tests.
package main

import (
	"example.org/broken/internal/app"
	"example.org/broken/tests/perf" // want imports
)

func main() { panic("main may") }
