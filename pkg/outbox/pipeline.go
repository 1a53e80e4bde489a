package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn-service/txn/pkg/database"
)

// laneSettingsSQL holds for the pipeline that it opens and no longer.
//
// synchronous_commit: losing the tail of these transactions in a crash of the
// server restores an earlier state, which can only cause a resend. The planner
// settings pin nested loops over the indexes in their order (a bitmap or a sort
// would read the whole outbox for its first 500 rows): the tables swing between nothing
// and millions of rows faster than their statistics, and every statement here
// starts from a bounded array.
//
// Joins to a table say business_id = ANY (ARRAY[…]): a table that was analysed
// when it was empty counts as empty until the next time, and reading all of it
// once looks cheaper then than looking a few rows up. The planner has no use for
// a whole index in an order that it cannot merge with; what is left to it is the
// look-up.
const laneSettingsSQL = `SELECT set_config('synchronous_commit', 'off', true), set_config('jit', 'off', true),
    set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('enable_sort', 'off', true),
    set_config('plan_cache_mode', 'force_generic_plan', true), set_config('lock_timeout', '2s', true),
    set_config('statement_timeout', '10s', true)`

// durablySQL makes the commit of a pipeline wait for the disk all the same.
const durablySQL = `SELECT set_config('synchronous_commit', 'on', true)`

// step is one statement of a pipeline; read sees its rows, when there is one.
type step struct {
	sql  string
	args []any
	read func(pgx.Rows) error
}

// pipeline runs the steps under the lane settings as one transaction in one
// round trip: without BEGIN, everything up to the closing Sync is one
// transaction (PostgreSQL documentation, §55.2.4), so that a client that stops
// in the middle leaves none open. Errors are coded.
func pipeline(ctx context.Context, pool *pgxpool.Pool, steps ...step) error {
	batch := &pgx.Batch{}
	batch.Queue(laneSettingsSQL)
	for _, s := range steps {
		queued := batch.Queue(s.sql, s.args...)
		if s.read != nil {
			queued.Query(s.read)
		}
	}
	if err := pool.SendBatch(ctx, batch).Close(); err != nil {
		return database.Coded(fmt.Errorf("lane statement: %w", err))
	}
	return nil
}

// each reads all rows into values made by scan.
func each[T any](into *[]T, scan func(pgx.Rows, *T) error) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*into = (*into)[:0]
		for rows.Next() {
			var value T
			if err := scan(rows, &value); err != nil {
				return err
			}
			*into = append(*into, value)
		}
		return rows.Err()
	}
}
