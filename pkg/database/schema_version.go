package database

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const stateUndefinedTable = "42P01"

// SchemaVersion returns the number of the newest migration that the database has,
// 0 for none, and that of the newest that this binary carries. Errors are coded.
func (db *DB) SchemaVersion(ctx context.Context) (applied, carried int64, err error) {
	err = db.Pool.QueryRow(ctx,
		`SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&applied)
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr) && pgErr.Code == stateUndefinedTable, errors.Is(err, pgx.ErrNoRows):
		return 0, requiredVersion, nil
	case err != nil:
		return 0, 0, Coded(err)
	}
	return applied, requiredVersion, nil
}
