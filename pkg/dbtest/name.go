package dbtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	clonePrefix = "txn_test_"
	// abandonedAfter is the age at which a database belongs to a test run that was killed: no run takes that long.
	abandonedAfter = 6 * time.Hour
)

// newName starts with the time, so that what a killed run left on a long-lived server can be told by its age.
func newName(now time.Time) string {
	return clonePrefix + strconv.FormatInt(now.Unix(), 36) + "_" + strings.ToLower(rand.Text()[:12])
}

// madeAt is the inverse of newName.
func madeAt(name string) (made time.Time, ok bool) {
	rest, ok := strings.CutPrefix(name, clonePrefix)
	if !ok {
		return time.Time{}, false
	}
	encoded, _, ok := strings.Cut(rest, "_")
	if !ok {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(encoded, 36, 64)
	return time.Unix(seconds, 0), err == nil
}

// dropAbandoned drops the databases of killed test runs. Those that somebody is connected to stay, and so do those that
// another test binary drops at the same moment.
func dropAbandoned(ctx context.Context, conn *pgx.Conn, now time.Time) error {
	rows, err := conn.Query(ctx, `
		SELECT datname FROM pg_database d
		WHERE starts_with(datname, $1) AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)`, clonePrefix)
	if err != nil {
		return fmt.Errorf("list test databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list test databases: %w", err)
	}
	for _, name := range names {
		if made, ok := madeAt(name); ok && now.Sub(made) > abandonedAfter {
			_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize())
		}
	}
	return nil
}
