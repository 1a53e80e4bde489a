package database

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/txn-service/txn/migrations"
)

// ErrSchemaTooOld says that the database lacks migrations of this release; its
// text names the command to run.
var ErrSchemaTooOld = errors.New("the schema is too old: run `txnctl migrate up`")

const stateUndefinedTable = "42P01"

// requiredVersion is the newest migration that this binary carries.
var requiredVersion = func() int64 {
	files, err := migrations.FS.ReadDir(".")
	if err != nil {
		panic(err) // an embedded directory
	}
	number, _, _ := strings.Cut(path.Base(files[len(files)-1].Name()), "_")
	version, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		panic(err) // a misnamed migration never leaves the test suite
	}
	return version
}()

// CheckSchema returns nil when the schema is at least as new as this binary,
// ErrSchemaTooOld when it is not, and a coded error when that cannot be told.
func (db *DB) CheckSchema(ctx context.Context) error {
	var version int64
	err := db.Pool.QueryRow(ctx,
		`SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr) && pgErr.Code == stateUndefinedTable, errors.Is(err, pgx.ErrNoRows):
		version = 0
	case err != nil:
		return Coded(err)
	}
	if version < requiredVersion {
		return fmt.Errorf("%w (schema %d, this release needs %d)", ErrSchemaTooOld, version, requiredVersion)
	}
	return nil
}
