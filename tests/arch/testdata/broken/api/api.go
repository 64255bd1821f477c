// Package api is the HTTP role.
package api

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/jackc/pgx/v5"   // want foreign
	"go.temporal.io/sdk/client" // want foreign

	"example.org/broken/connectors" // want imports
	"example.org/broken/internal/alpha"
	"example.org/broken/internal/engine" // want imports
	"example.org/broken/workflows"       // want imports
)

type row struct {
	ID string `example:"select id from runs"`
}

const query = `select id from runs` // want sql
