//go:build !race

package api

// raced reports whether the race detector makes everything slow.
const raced = false
