package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
)

// maxConns is enough for one check at a time, where one holds a connection while
// it asks for another.
const maxConns = 2

// applicationName is what pg_stat_activity shows for the doctor's own connections.
const applicationName = "txnctl doctor"

// oldestPostgres is the first version that the migrations work on, as
// server_version_num counts.
const oldestPostgres = 140000

// connectPostgres finds a database that cannot be reached or refuses to let us in.
func connectPostgres(ctx context.Context, p *patient) (verdict, error) {
	if p.settings.Database.URL == "" {
		return fail("no database is configured", "set database.url (TXN_DATABASE_URL) to what the services use"), nil
	}
	db, err := database.Open(ctx, database.Options{
		URL: p.settings.Database.URL, MaxOpenConns: maxConns, ApplicationName: applicationName,
	})
	if err != nil {
		return fail(err.Error(), "correct database.url (TXN_DATABASE_URL)"), nil
	}
	p.db = db
	if err := db.Pool.Ping(ctx); err != nil {
		return fail(err.Error(), "start PostgreSQL, or correct database.url (TXN_DATABASE_URL): host, port, user, password, database"), nil
	}
	return p.describeServer(ctx)
}

func (p *patient) describeServer(ctx context.Context) (verdict, error) {
	var version, name, user string
	var standby bool
	err := p.row(ctx, `SELECT current_setting('server_version'), current_database(), current_user, pg_is_in_recovery()`).
		Scan(&version, &name, &user, &standby)
	if err != nil {
		return verdict{}, err
	}
	if standby {
		return fail("this is a standby, where nothing can be written", "point database.url (TXN_DATABASE_URL) at the primary"), nil
	}
	return ok("PostgreSQL %s, database %s as %s", version, name, user), nil
}

// checkVersion finds a server that is older than the schema needs.
func checkVersion(ctx context.Context, p *patient) (verdict, error) {
	number, err := p.versionNumber(ctx)
	if err != nil {
		return verdict{}, err
	}
	return judgeVersion(number), nil
}

func judgeVersion(number int) verdict {
	if number < oldestPostgres {
		return fail(fmt.Sprintf("version %d", number/10000), "upgrade to PostgreSQL 14 or newer")
	}
	return ok("version %d; 14 or newer is needed", number/10000)
}

// versionNumber is the server's version as server_version_num has it: 150004.
func (p *patient) versionNumber(ctx context.Context) (number int, err error) {
	err = p.row(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&number)
	return number, err
}

func (p *patient) row(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.db.Pool.QueryRow(ctx, sql, args...)
}

// setting reads a parameter of the server, as it is for new sessions of this user.
func (p *patient) setting(ctx context.Context, name string) (value string, err error) {
	err = p.row(ctx, `SELECT current_setting($1)`, name).Scan(&value)
	return value, err
}
