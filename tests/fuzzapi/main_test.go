// Package fuzzapi makes requests from the API's description, good ones and bad ones, and demands of every
// answer what is owed to any: none is a failure of ours, each is as described, nobody sees another tenant's
// rows, and none is late. A route is covered once it is described.
//
//	description ─► plan (operation, caller, ids) ─► valid request ─► 0–2 mutations ─► HTTP ─► oracles
//	                    ▲                                                               │
//	                    └──────────────── pool of ids and cursors, by tenant ◄──────────┘
//
// The chances of request n are drawn from the seed and n alone; ids are the server's, so a seed repeats the
// requests but for those.
package fuzzapi

import (
	"os"
	"testing"

	"github.com/larirun/lari/tests/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.WithoutLeaks(m)) }
