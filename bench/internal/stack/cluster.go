package stack

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/devstack"
)

const (
	adminDatabase    = "postgres"
	emptyDatabase    = "template1"
	templateDatabase = "txn_template"
)

// Cluster is a private PostgreSQL with its default durability. Its methods may
// be called from several goroutines.
type Cluster struct {
	postgres *devstack.Postgres

	mu       sync.Mutex
	template bool // of txn's schema, made
}

// startCluster starts a server in a temporary directory; more settings win over
// those of all clusters, later ones over earlier ones.
func startCluster(ctx context.Context, log io.Writer, more ...map[string]string) (*Cluster, error) {
	settings := map[string]string{"shared_buffers": "1GB", "max_connections": "200"}
	for _, these := range more {
		maps.Copy(settings, these)
	}
	// No DataDir: devstack's own temporary directory goes away even if this
	// process is killed.
	postgres, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Durable: true, Settings: settings, Log: log})
	if err != nil {
		return nil, err
	}
	return &Cluster{postgres: postgres}, nil
}

// CreateDatabase makes a database of txn's schema and returns its URL.
func (c *Cluster) CreateDatabase(ctx context.Context, name string) (string, error) {
	if err := c.migrateTemplate(ctx); err != nil {
		return "", err
	}
	return c.createDatabase(ctx, name, templateDatabase)
}

// CreateEmptyDatabase makes a database without any table and returns its URL.
func (c *Cluster) CreateEmptyDatabase(ctx context.Context, name string) (string, error) {
	return c.createDatabase(ctx, name, emptyDatabase)
}

// DropDatabase removes a database together with the connections to it.
func (c *Cluster) DropDatabase(ctx context.Context, name string) error {
	return c.admin(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// Version is the server's own word for its version.
func (c *Cluster) Version(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, c.postgres.URL(adminDatabase))
	if err != nil {
		return "", fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version string
	err = conn.QueryRow(ctx, "SHOW server_version").Scan(&version)
	return version, err
}

func (c *Cluster) migrateTemplate(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.template {
		return nil
	}
	address, err := c.createDatabase(ctx, templateDatabase, emptyDatabase)
	if err == nil {
		err = database.Migrate(ctx, address)
	}
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	c.template = true
	return nil
}

func (c *Cluster) createDatabase(ctx context.Context, name, template string) (string, error) {
	err := c.admin(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s",
		pgx.Identifier{name}.Sanitize(), pgx.Identifier{template}.Sanitize()))
	return c.postgres.URL(name), err
}

func (c *Cluster) admin(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.postgres.URL(adminDatabase))
	if err != nil {
		return fmt.Errorf("connecting to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err = conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
