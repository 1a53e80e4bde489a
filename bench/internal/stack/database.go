package stack

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
)

const (
	adminDatabase    = "postgres"
	emptyDatabase    = "template1"
	templateDatabase = "txn_template"
)

// CreateDatabase makes a database of txn's schema and returns its URL.
func (s *Stack) CreateDatabase(ctx context.Context, name string) (string, error) {
	if err := s.migrateTemplate(ctx); err != nil {
		return "", err
	}
	return s.createDatabase(ctx, name, templateDatabase)
}

// CreateEmptyDatabase makes a database without any table and returns its URL.
func (s *Stack) CreateEmptyDatabase(ctx context.Context, name string) (string, error) {
	return s.createDatabase(ctx, name, emptyDatabase)
}

// DropDatabase removes a database together with the connections to it.
func (s *Stack) DropDatabase(ctx context.Context, name string) error {
	return s.admin(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

func (s *Stack) migrateTemplate(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.template {
		return nil
	}
	address, err := s.createDatabase(ctx, templateDatabase, emptyDatabase)
	if err == nil {
		err = database.Migrate(ctx, address)
	}
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	s.template = true
	return nil
}

func (s *Stack) createDatabase(ctx context.Context, name, template string) (string, error) {
	err := s.admin(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s",
		pgx.Identifier{name}.Sanitize(), pgx.Identifier{template}.Sanitize()))
	return s.postgres.URL(name), err
}

func (s *Stack) admin(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.postgres.URL(adminDatabase))
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err = conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// PostgresVersion is the server's own word for its version.
func (s *Stack) PostgresVersion(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, s.postgres.URL(adminDatabase))
	if err != nil {
		return "", fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version string
	err = conn.QueryRow(ctx, "SHOW server_version").Scan(&version)
	return version, err
}
