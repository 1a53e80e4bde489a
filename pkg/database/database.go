// Package database opens PostgreSQL: one pgx pool, with GORM on top of it for
// everything that is not the hot path, transactions with a bounded retry, the
// migrations, and the one place that turns a SQLSTATE into a coded error.
package database

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	gormlogger "gorm.io/gorm/logger"
)

// Options configure Open.
type Options struct {
	// URL is a PostgreSQL connection URI.
	URL string
	// MaxOpenConns caps the pool; 0 means 20.
	MaxOpenConns int
	// ApplicationName is what pg_stat_activity shows for the connections.
	ApplicationName string
}

// connectTimeout bounds one dial, so that an outage is reported and not waited
// out by everybody.
const connectTimeout = 3 * time.Second

// DB is one pool with two faces: pgx where pipelining and arrays pay, GORM
// everywhere else.
type DB struct {
	Pool *pgxpool.Pool
	Gorm *gorm.DB
	// wrapped is the pool as GORM sees it.
	wrapped *sql.DB
}

// Open prepares the pool without connecting: a service starts while its
// database is still down and becomes ready when it comes up.
func Open(ctx context.Context, options Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(options.URL)
	if err != nil {
		// pgx redacts the password in its parse errors.
		return nil, fmt.Errorf("parsing database.url: %w", err)
	}
	config.MaxConns = 20
	if options.MaxOpenConns > 0 {
		config.MaxConns = int32(options.MaxOpenConns)
	}
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	if options.ApplicationName != "" {
		config.ConnConfig.RuntimeParams["application_name"] = options.ApplicationName
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the pool: %w", err)
	}
	wrapped := stdlib.OpenDBFromPool(pool)
	orm, err := gorm.Open(postgres.New(postgres.Config{Conn: wrapped}), &gorm.Config{
		Logger: gormlogger.Discard, // errors are returned and logged once, by whoever decides
		// Every write that needs a transaction opens one itself.
		SkipDefaultTransaction: true,
		// Columns by name: a prepared SELECT * fails once on every connection after a
		// migration has added one.
		QueryFields:          true,
		DisableAutomaticPing: true,
		NowFunc:              Now,
	})
	if err != nil {
		_ = wrapped.Close() // it holds no connection of its own
		pool.Close()
		return nil, fmt.Errorf("opening gorm: %w", err)
	}
	return &DB{Pool: pool, Gorm: orm, wrapped: wrapped}, nil
}

// Close waits for borrowed connections and closes the pool.
func (db *DB) Close() {
	_ = db.wrapped.Close() // it holds no connection of its own
	db.Pool.Close()
}

// Now is the clock in the resolution that timestamptz keeps: UTC microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// BeginReadCommitted is how every transaction of the service starts: each
// statement sees what was committed before it, so that a look-up after a lock
// sees what the lock waited for.
var BeginReadCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted}
