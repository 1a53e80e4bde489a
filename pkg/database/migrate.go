package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/txn-service/txn/migrations"
)

// Migration is one numbered step of the schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrator applies the embedded migrations under an advisory lock, so that any
// number of them may start at once.
type Migrator struct {
	db       *sql.DB
	provider *goose.Provider
}

// NewMigrator opens a connection of its own to the database.
func NewMigrator(url string) (*Migrator, error) { return newMigrator(url, migrations.FS) }

func newMigrator(url string, files fs.FS) (*Migrator, error) {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the migrations: %w", err), db.Close())
	}
	return &Migrator{db: db, provider: provider}, nil
}

// Close closes the connection.
func (m *Migrator) Close() error { return m.db.Close() }

// Up applies everything that is missing and returns what it applied.
func (m *Migrator) Up(ctx context.Context) ([]Migration, error) {
	results, err := m.provider.Up(ctx)
	return asMigrations(results, true), Coded(err)
}

// Down takes the newest applied migration back.
func (m *Migrator) Down(ctx context.Context) ([]Migration, error) {
	result, err := m.provider.Down(ctx)
	if errors.Is(err, goose.ErrNoNextVersion) || result == nil && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, Coded(err)
	}
	return asMigrations([]*goose.MigrationResult{result}, false), nil
}

// Status lists all migrations, oldest first.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	statuses, err := m.provider.Status(ctx)
	if err != nil {
		return nil, Coded(err)
	}
	list := make([]Migration, 0, len(statuses))
	for _, s := range statuses {
		list = append(list, Migration{Version: s.Source.Version, Name: s.Source.Path, Applied: s.State == goose.StateApplied})
	}
	return list, nil
}

func asMigrations(results []*goose.MigrationResult, applied bool) []Migration {
	list := make([]Migration, 0, len(results))
	for _, r := range results {
		list = append(list, Migration{Version: r.Source.Version, Name: r.Source.Path, Applied: applied && r.Error == nil})
	}
	return list
}

// Migrate applies all migrations to the database at url.
func Migrate(ctx context.Context, url string) error {
	migrator, err := NewMigrator(url)
	if err != nil {
		return err
	}
	_, err = migrator.Up(ctx)
	return errors.Join(err, migrator.Close())
}
