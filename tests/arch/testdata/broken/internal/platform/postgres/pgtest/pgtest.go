// Package pgtest gives tests a database.
package pgtest
