package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// listenPatience is how long a notification may be on its way: it takes
// milliseconds.
const listenPatience = 2 * time.Second

// checkListen finds a database that dispatchers listen to in vain: one behind a
// transaction pooler, or another one.
func checkListen(ctx context.Context, p *patient) (verdict, error) {
	const costs = ": dispatchers find new events by polling, four times a second"
	config, err := pgx.ParseConfig(p.settings.Database.Listen())
	if err != nil {
		return warn(err.Error()+costs, "correct database.listen_url (TXN_DATABASE_LISTEN_URL)"), nil
	}
	// A pooler hands the session on after each statement: nothing may stay prepared.
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	config.RuntimeParams["application_name"] = applicationName
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return warn(err.Error()+costs, "let database.listen_url (TXN_DATABASE_LISTEN_URL) lead to PostgreSQL itself"), nil
	}
	defer conn.Close(context.WithoutCancel(ctx))
	took, err := p.hear(ctx, conn)
	switch {
	case pgconn.Timeout(err) && ctx.Err() == nil:
		return warn("notifications do not arrive"+costs,
			"set database.listen_url (TXN_DATABASE_LISTEN_URL) to the same database on PostgreSQL itself, past any pooler"), nil
	case err != nil:
		return verdict{}, err
	default:
		return ok("notifications arrive, in %s", span(took)), nil
	}
}

// hear sends a notification through the pool and waits until it arrives.
func (p *patient) hear(ctx context.Context, conn *pgx.Conn) (took time.Duration, err error) {
	channel := pgx.Identifier{fmt.Sprintf("txn_doctor_%d", conn.PgConn().PID())}.Sanitize()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return 0, err
	}
	defer func() { _, _ = conn.Exec(ctx, "UNLISTEN "+channel) }() // the session ends anyway, unless it is a pooler's
	began := time.Now()
	if _, err := p.db.Pool.Exec(ctx, "NOTIFY "+channel); err != nil {
		return 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, min(listenPatience, p.Timeout/2))
	defer cancel()
	_, err = conn.WaitForNotification(waiting)
	return time.Since(began), err
}
