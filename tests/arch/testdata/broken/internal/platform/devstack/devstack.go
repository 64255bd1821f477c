// Package devstack starts things.
package devstack

import "go.temporal.io/sdk/client"
