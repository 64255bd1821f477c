package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const databaseName = "lari"

func databaseURL(port int, password, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, password), Host: loopback + ":" + strconv.Itoa(port),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// ping opens and closes one connection.
func ping(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := conn.Close(ctx); err != nil {
		return fmt.Errorf("disconnect: %w", err)
	}
	return nil
}

// createDatabase makes the database and its extension if they are absent. Roles belong to the migrations.
func createDatabase(ctx context.Context, admin, address string) error {
	if err := execute(ctx, admin, "CREATE DATABASE "+databaseName, "42P04"); err != nil { // duplicate_database
		return err
	}
	return execute(ctx, address, "CREATE EXTENSION IF NOT EXISTS vector", "")
}

// execute runs one statement on a connection of its own; an error with the accepted code is success.
func execute(ctx context.Context, address, statement, accepted string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	var refused *pgconn.PgError
	if err == nil || errors.As(err, &refused) && refused.Code == accepted {
		return nil
	}
	return fmt.Errorf("%s: %w", statement, err)
}
