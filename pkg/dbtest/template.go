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

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/migrations"
	"github.com/txn-service/txn/pkg/database"
)

// templateLock is the advisory lock under which templates are made. Advisory locks belong to a database; all users of a
// server meet in the one that its URL names.
const templateLock = 0x74786e5f74706c // "txn_tpl"

// template is a migrated database of one server that nobody connects to.
type template struct {
	once sync.Once
	name string
	err  error
}

var templates sync.Map // server URL → *template

// templateOn returns the name of the template on the server, made if it is missing.
func templateOn(ctx context.Context, server string) (string, error) {
	entry, _ := templates.LoadOrStore(server, &template{})
	made := entry.(*template)
	made.once.Do(func() {
		if made.name, made.err = templateName(migrations.FS); made.err == nil {
			made.err = makeTemplate(ctx, server, made.name)
		}
	})
	return made.name, made.err
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
func makeTemplate(ctx context.Context, server, name string) (err error) {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }() // drops the lock too
	if ready, err := templateReady(ctx, conn, name); err != nil || ready {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return fmt.Errorf("template: %w", err)
	}
	if ready, err := templateReady(ctx, conn, name); err != nil || ready {
		return err
	}
	quoted := pgx.Identifier{name}.Sanitize()
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + quoted + " WITH (FORCE)", "CREATE DATABASE " + quoted} {
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
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quoted+" WITH ALLOW_CONNECTIONS false IS_TEMPLATE false"); err != nil {
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
