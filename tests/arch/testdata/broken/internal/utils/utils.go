// Package utils holds what nobody found a name for.
package utils // want name
