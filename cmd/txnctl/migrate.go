package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
)

var migrationView = view[database.Migration]{
	shape: func(m database.Migration) any { return m },
	columns: []column[database.Migration]{
		{title: "VERSION", cell: func(m database.Migration) string { return strconv.FormatInt(m.Version, 10) }},
		{title: "NAME", cell: func(m database.Migration) string { return m.Name }},
		{title: "APPLIED", cell: func(m database.Migration) string { return strconv.FormatBool(m.Applied) }},
	},
}

func newMigrate(s *session) *cobra.Command {
	return newGroup("migrate", "Apply, take back and list schema migrations", `Apply, take back and list schema migrations.

The migrations are part of this binary. They run under an advisory lock, so that
any number of txnctl may start at once, and each is safe beside services of the
previous release.`,
		newMigrateUp(s), newMigrateDown(s), newMigrateStatus(s))
}

func newMigrateUp(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "up", Short: "Apply every migration that is missing",
		Long:    "Apply every migration that is missing, oldest first, and print those that were applied.",
		Example: "  TXN_DATABASE_URL=postgres://txn@localhost/txn txnctl migrate up",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.migrate(cmd.Context(), audit.SchemaMigrated, "The schema is up to date.", (*database.Migrator).Up)
		},
	}
}

func newMigrateDown(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "Take the newest migration back",
		Long:    "Take the newest applied migration back. This drops what it made, with all data in it.",
		Example: "  txnctl migrate down --yes",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.confirm("Taking a migration back drops its tables with all their data. Go ahead?"); err != nil {
				return err
			}
			return s.migrate(cmd.Context(), audit.SchemaTakenBack, "No migration is applied.", (*database.Migrator).Down)
		},
	}
}

func newMigrateStatus(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the migrations and whether they are applied",
		Long:    "List the migrations of this release, oldest first, and whether they are applied.",
		Example: "  txnctl migrate status -o json",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.migrate(cmd.Context(), "", "", (*database.Migrator).Status)
		},
	}
}

// migrate runs one step of the migrator and prints the migrations it touched, which
// the audit log hears of unless the step only looks.
func (s *session) migrate(
	ctx context.Context, action audit.Action, nothing string, step func(*database.Migrator, context.Context) ([]database.Migration, error),
) (err error) {
	settings, err := s.config()
	if err != nil {
		return err
	}
	migrator, err := database.NewMigrator(settings.Database.URL)
	if err != nil {
		return usagef("%v", err)
	}
	defer func() { err = errors.Join(err, migrator.Close()) }()
	migrations, err := step(migrator, ctx)
	if err != nil {
		return err
	}
	if len(migrations) == 0 && nothing != "" {
		s.note("%s", nothing)
	}
	if err := printPage(s, migrationView, page[database.Migration]{items: migrations}); err != nil {
		return err
	}
	if action == "" || len(migrations) == 0 {
		return nil
	}
	return s.recordMigrations(ctx, settings.Database.URL, action, migrations)
}

// recordMigrations tells the audit log, in a transaction of its own: migrations make
// the log, drop it, and some run outside of any transaction.
func (s *session) recordMigrations(ctx context.Context, url string, action audit.Action, migrations []database.Migration) error {
	db, err := database.Open(ctx, database.Options{URL: url, MaxOpenConns: maxConns, ApplicationName: "txnctl"})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.InTx(ctx, func(tx *gorm.DB) error {
		if exists, err := audit.Exists(ctx, tx); err != nil || !exists {
			return err
		}
		return audit.Append(ctx, tx, audit.Change{Actor: s.operator(), Action: action, Target: "schema", After: migrations})
	})
}
