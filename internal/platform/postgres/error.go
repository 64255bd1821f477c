package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/larirun/lari/internal/platform/fault"
)

// SQLSTATE codes of the PostgreSQL manual, appendix A.
const (
	codeUniqueViolation     = "23505"
	codeForeignKeyViolation = "23503"
	codeCheckViolation      = "23514"
	codeSerialization       = "40001"
	codeDeadlock            = "40P01"
	codeNoRight             = "42501"
	codeNoTable             = "42P01"
	codeNoSchema            = "3F000"
	codeReadOnly            = "25006"
	classDataException      = "22" // a value that its column, or jsonb, cannot hold
	classProgramLimit       = "54" // a value too large or too deep for the server
)

// code returns the SQLSTATE of an error, "" when it has none.
func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// ErrUnreachable is in the chain of every error that says that the database cannot be reached, or cannot work.
var ErrUnreachable = errors.New("the database is away")

// UniqueViolation gives the name of the unique constraint or index that the error speaks of, "" when
// it is another error.
func UniqueViolation(err error) string { return constraint(err, codeUniqueViolation) }

// ForeignKeyViolation gives the name of the foreign key that the error speaks of, "" when it is another.
func ForeignKeyViolation(err error) string { return constraint(err, codeForeignKeyViolation) }

// CheckViolation gives the name of the check that the error speaks of, "" when it is another.
func CheckViolation(err error) string { return constraint(err, codeCheckViolation) }

func constraint(err error, code string) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == code {
		return pg.ConstraintName
	}
	return ""
}

func lostRace(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == codeSerialization || pg.Code == codeDeadlock)
}

// retryUnavailable is how long a caller should wait when the database cannot be reached.
const retryUnavailable = 2 * time.Second

// tenantReference ends the name of every foreign key to tenants, as Postgres names them.
const tenantReference = "_tenant_id_fkey"

// translate gives a code to what means the same in every store: the connection, the caller's leaving, a value that
// cannot be stored, a tenant that does not exist. The cause stays reachable; all other errors
// pass unchanged, so that a store can look at them.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if unreachable(err) {
		return fault.Wrap(errors.Join(ErrUnreachable, err), fault.Unavailable, "The database cannot be reached.").After(retryUnavailable)
	}
	if errors.Is(err, context.Canceled) {
		return fault.Wrap(err, fault.Cancelled, "The caller went away.")
	}
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
	case strings.HasPrefix(pg.Code, classDataException), strings.HasPrefix(pg.Code, classProgramLimit):
		// Permanent: the same value is refused at every retry.
		return fault.Wrap(err, fault.Invalid, "A value cannot be stored: it holds a character, a number or a nesting that the database refuses.")
	case pg.Code == codeForeignKeyViolation && strings.HasSuffix(pg.ConstraintName, tenantReference):
		return fault.Wrap(err, fault.NotFound, "The tenant does not exist.")
	}
	return err
}

func unreachable(err error) bool {
	var connect *pgconn.ConnectError
	var pg *pgconn.PgError
	var network net.Error
	switch {
	case errors.As(err, &connect): // first: it also wraps what the server says while one connects
		return !errors.Is(err, context.Canceled)
	case errors.As(err, &pg):
		// 08: connection exception; 53: insufficient resources; 57P01-57P03: shutting or starting up; 58: its disk or
		// system fails; read-only: a failover has left us with a standby.
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "57P") ||
			strings.HasPrefix(pg.Code, "58") || pg.Code == codeReadOnly
	case errors.Is(err, context.Canceled):
		return false
	case errors.Is(err, context.DeadlineExceeded):
		return true // a pool that cannot connect in time ends here; the caller's own deadline as well
	case errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return true
	}
	return strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "closed pool")
}
