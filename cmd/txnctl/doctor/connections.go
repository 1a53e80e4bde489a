package doctor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/outbox"
)

// crowded is the share of the connections in use from which new ones are about to
// be refused.
const crowded = 0.9

// The rows of other roles hide all but their database, role and application.
const connectionsSQL = `SELECT current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
    (SELECT count(*)::int FROM pg_stat_activity WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend')`

const processesSQL = `SELECT count(*) FILTER (WHERE application_name = 'txn-api')::int,
    count(*) FILTER (WHERE application_name = 'txn-dispatcher')::int, count(*) FILTER (WHERE application_name = $1)::int
FROM pg_stat_activity WHERE datname = current_database() GROUP BY client_addr`

// budget is who uses the server's connections.
type budget struct {
	// available are those that a role without privileges can get, used those that
	// anybody has.
	available, used int
	// apis and dispatchers run, as far as can be seen, with so many connections.
	apis, dispatchers, theirs int
	// perProcess is database.max_open_conns.
	perProcess int
}

// checkConnections finds a server with fewer connections than the services may
// come to want.
func checkConnections(ctx context.Context, p *patient) (verdict, error) {
	b := budget{perProcess: max(p.settings.Database.MaxOpenConns, 1)}
	if err := p.row(ctx, connectionsSQL).Scan(&b.available, &b.used); err != nil {
		return verdict{}, err
	}
	rows, err := p.db.Pool.Query(ctx, processesSQL, outbox.ListenerName)
	if err != nil {
		return verdict{}, err
	}
	var api, dispatcher, listening, listeners int
	_, err = pgx.ForEachRow(rows, []any{&api, &dispatcher, &listening}, func() error {
		b.apis += b.processes(api)
		b.dispatchers += b.processes(dispatcher)
		b.theirs += api + dispatcher + listening
		listeners += listening
		return nil
	})
	if err != nil {
		return verdict{}, err
	}
	b.dispatchers = max(b.dispatchers, listeners)
	return b.judge(), nil
}

// processes is how many it takes at least to open so many connections from one
// address, which several may share.
func (b budget) processes(connections int) int {
	return (connections + b.perProcess - 1) / b.perProcess
}

func (b budget) judge() verdict {
	others := max(0, b.used-b.theirs-1) // this command has one
	// A dispatcher listens on one more than its pool has.
	wanted := (b.apis+b.dispatchers)*b.perProcess + b.dispatchers
	detail := fmt.Sprintf("%d of %d in use; %s and %s may take up to %d (database.max_open_conns is %d), everybody else takes %d",
		b.used, b.available, count(int64(b.apis), "API", "APIs"), count(int64(b.dispatchers), "dispatcher", "dispatchers"),
		wanted, b.perProcess, others)
	switch {
	case float64(b.used) > crowded*float64(b.available):
		return fail(detail+": new connections are about to be refused",
			"raise max_connections, lower database.max_open_conns, or put a pooler in front (and set database.listen_url)")
	case wanted+others > b.available:
		return warn(detail, "lower database.max_open_conns, raise max_connections, or put a pooler in front (and set database.listen_url)")
	default:
		return ok("%s", detail)
	}
}
