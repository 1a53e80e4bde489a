package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/migrations"
	"github.com/txn-service/txn/pkg/database"
)

// templateLock is the advisory lock under which templates are made. Advisory locks belong to a database; all users of a
// server meet in the one that its URL names.
const templateLock = 0x74786e5f74706c // "txn_tpl"

const templateTimeout = 2 * time.Minute

// template is a migrated database of one server that nobody connects to.
type template struct {
	once sync.Once
	name string
	// clause is the CREATE DATABASE clause for the fastest clone.
	clause string
	err    error
}

var templates sync.Map // server URL → *template

// templateOn returns the template on the server, made if it is missing.
func templateOn(ctx context.Context, server string) (*template, error) {
	entry, _ := templates.LoadOrStore(server, &template{})
	found := entry.(*template)
	found.once.Do(func() {
		// The test that comes first must not fail all others when it ends early.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), templateTimeout)
		defer cancel()
		if found.name, found.err = templateName(migrations.FS); found.err != nil {
			return
		}
		found.err = onServer(ctx, server, func(conn *pgx.Conn) error {
			if err := dropAbandoned(ctx, conn, time.Now()); err != nil {
				return err
			}
			if err := makeTemplate(ctx, conn, server, found.name); err != nil {
				return err
			}
			var err error
			found.clause, err = cloneClause(ctx, conn, found.name)
			return err
		})
	})
	return found, found.err
}

// cloneClause decides how to clone. Copying files costs a quarter to a half of writing the copy through the WAL (13 ms
// of CPU against 30 for our schema on PostgreSQL 15), but begins and ends with a checkpoint, which is cheap only on a
// server that does not sync. Before version 15 there is no choice.
func cloneClause(ctx context.Context, conn *pgx.Conn, name string) (string, error) {
	var copies bool
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int >= 150000
		AND NOT current_setting('fsync')::bool`).Scan(&copies)
	if err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	clause := "TEMPLATE " + pgx.Identifier{name}.Sanitize()
	if copies {
		clause += " STRATEGY FILE_COPY"
	}
	return clause, nil
}

// templateName names the template after the names and contents of the migrations.
func templateName(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read migrations: %w", err)
	}
	return "txn_template_" + hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// makeTemplate migrates a new database and closes it to connections as the last step, which marks it as complete: one
// that is open to connections is what an interrupted run left.
func makeTemplate(ctx context.Context, conn *pgx.Conn, server, name string) error {
	if ready, err := templateReady(ctx, conn, name); err != nil || ready {
		return err
	}
	// Held until the connection is closed.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	if ready, err := templateReady(ctx, conn, name); err != nil || ready {
		return err
	}
	quoted := pgx.Identifier{name}.Sanitize()
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + quoted + " WITH (FORCE)",
		"CREATE DATABASE " + quoted,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("template: %w", err)
		}
	}
	address, err := databaseURL(server, name)
	if err != nil {
		return err
	}
	if err := database.Migrate(ctx, address); err != nil {
		return fmt.Errorf("migrate the template: %w", err)
	}
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quoted+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	return nil
}

func templateReady(ctx context.Context, conn *pgx.Conn, name string) (bool, error) {
	var ready bool
	err := conn.QueryRow(ctx,
		"SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND NOT datallowconn)", name).Scan(&ready)
	if err != nil {
		return false, fmt.Errorf("template: %w", err)
	}
	return ready, nil
}

// databaseURL returns the server's URL with another database.
func databaseURL(server, name string) (string, error) {
	address, err := url.Parse(server)
	if err != nil || address.Host == "" {
		return "", errors.New(databaseVariable + " is not a URL of the form postgres://user:password@host:port/database")
	}
	address.Path = "/" + name
	return address.String(), nil
}
