package dev

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/devstack"
)

// databaseName is the one database of the cluster that is used.
const databaseName = "txn"

// startPostgres starts the private server, installing it where that needs no
// question, and brings the schema up to date.
func (d *stack) startPostgres(ctx context.Context) error {
	dir := filepath.Join(d.DataDir, "postgres")
	if d.Reset {
		d.progress("Dropping the data of %s …", d.DataDir)
		if err := devstack.RemovePostgres(ctx, dir); err != nil {
			return d.explain(err)
		}
		if err := removeState(d.DataDir); err != nil {
			return err
		}
	}
	if err := devstack.Install(ctx, devstack.SoftwarePostgres, d.Progress); err != nil {
		return err
	}
	d.progress("Starting PostgreSQL …")
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{DataDir: dir, Durable: true, Log: d.Progress})
	if err != nil {
		return d.explain(err)
	}
	d.add("PostgreSQL", server.Close)
	d.watch("PostgreSQL", server.Done(), func() error { return errors.New("its log is postgres.log in " + dir) })
	if err := createDatabase(ctx, server.URL("postgres")); err != nil {
		return err
	}
	d.databaseURL = server.URL(databaseName)
	d.progress("Applying migrations …")
	if err := database.Migrate(ctx, d.databaseURL); err != nil {
		return fmt.Errorf("applying migrations: %w", err)
	}
	return nil
}

func (d *stack) explain(err error) error {
	if errors.Is(err, devstack.ErrInUse) {
		return fmt.Errorf("another `txnctl dev` runs on %s: stop it, or choose another --data-dir: %w", d.DataDir, err)
	}
	return err
}

func createDatabase(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, databaseName).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{databaseName}.Sanitize())
	return err
}

// startRedis starts a private Redis where there is one to start. Without it the
// service keeps every promise but counts rate limits in memory.
func (d *stack) startRedis(ctx context.Context) error {
	if _, err := devstack.FindRedis(); errors.Is(err, devstack.ErrRedisNotFound) {
		d.progress("No redis-server here: going without (rate limits are counted in memory).")
		return nil
	}
	d.progress("Starting Redis …")
	server, err := devstack.StartRedis(ctx, devstack.RedisOptions{
		Dir: filepath.Join(d.DataDir, "redis"), NotifyKeyspaceEvents: "Ex", Log: d.Progress,
	})
	if err != nil {
		return err
	}
	d.add("Redis", server.Close)
	d.redisURL = server.URL()
	return nil
}
