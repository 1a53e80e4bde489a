package database_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
)

const copyThingsSQL = `COPY things (id, name, owner, amount, part, at, body, data) FROM STDIN (FORMAT binary)`

// things is a connection to a database with a table of every type that Rows knows.
func things(t *testing.T) *pgxpool.Conn {
	t.Helper()
	testdb := dbtest.New(t)
	testdb.Exec(t, `CREATE TABLE things (id uuid PRIMARY KEY, name text, owner uuid, amount bigint, part smallint,
		at timestamptz, body bytea, data jsonb)`)
	conn, err := testdb.Pool.Acquire(t.Context())
	require.NoError(t, err)
	t.Cleanup(conn.Release)
	return conn
}

func thing(rows *database.Rows, id byte) {
	rows.Row(8)
	rows.UUID([16]byte{15: id})
	rows.Text("a thing")
	for range 6 {
		rows.Null()
	}
}

func count(t *testing.T, conn *pgxpool.Conn) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM things`).Scan(&n))
	return n
}

func TestRowsOfEveryType(t *testing.T) {
	t.Parallel()
	conn := things(t)
	type row struct {
		name   string
		owner  [16]byte
		amount int64
		part   int16
		at     time.Time
		body   []byte
		data   string
	}
	written := []row{
		{"", [16]byte{}, 0, 0, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), []byte{}, `{}`},
		{"ﬁnes € \"'\\\n", [16]byte{0: 0xff, 15: 1}, -9007199254740991, -32768, time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), []byte{0, 1, 255}, `{"a": "b"}`},
		{"x", [16]byte{1}, 1<<63 - 1, 32767, time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), []byte("body"), `["ü"]`},
	}
	p := database.NewPipeline(t.Context(), conn.Conn(), copyThingsSQL)
	p.Copy(copyThingsSQL, func(rows *database.Rows) {
		for i, w := range written {
			rows.Row(8)
			rows.UUID([16]byte{15: byte(i)})
			rows.OptionalText(&w.name)
			database.OptionalUUID(rows, &w.owner)
			rows.OptionalInt64(&w.amount)
			rows.Int16(w.part)
			rows.OptionalTime(&w.at)
			rows.Bytes(w.body)
			rows.JSONB([]byte(w.data))
		}
		rows.Row(8)
		rows.UUID([16]byte{0: 9})
		rows.OptionalText(nil)
		database.OptionalUUID[[16]byte](rows, nil)
		rows.OptionalInt64(nil)
		rows.Null()
		rows.OptionalTime(nil)
		rows.Null()
		rows.Null()
	})
	tag, err := p.End(t.Context())
	require.NoError(t, err)
	require.Equal(t, "COPY 4", tag.String())

	rows, err := conn.Query(t.Context(), `SELECT name, owner, amount, part, at, body, data::text FROM things WHERE name IS NOT NULL ORDER BY id`)
	require.NoError(t, err)
	read, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (out row, err error) {
		err = r.Scan(&out.name, &out.owner, &out.amount, &out.part, &out.at, &out.body, &out.data)
		out.at = out.at.UTC()
		return out, err
	})
	require.NoError(t, err)
	require.Equal(t, written, read)
	var nulls bool
	require.NoError(t, conn.QueryRow(t.Context(),
		`SELECT num_nulls(name, owner, amount, part, at, body, data) = 7 FROM things WHERE name IS NULL`).Scan(&nulls))
	require.True(t, nulls)
}

func TestPipelineInPartsIsOneTransaction(t *testing.T) {
	t.Parallel()
	conn := things(t)
	_, err := conn.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	const touch = `UPDATE things SET amount = $1 WHERE name = $2`
	p := database.NewPipeline(t.Context(), conn.Conn(), copyThingsSQL, touch, "COMMIT")
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 1) })
	p.Send(t.Context())
	p.Exec(touch, int64(7), "a thing")
	p.Exec("COMMIT")
	tag, err := p.End(t.Context())
	require.NoError(t, err)
	require.Equal(t, "COMMIT", tag.String())
	var amount int64
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT amount FROM things`).Scan(&amount))
	require.EqualValues(t, 7, amount)
}

// A pooler may give the server's connection to somebody else after each
// transaction, and with it what was prepared on it.
func TestPipelineKeepsNothingOnTheServerWhenTold(t *testing.T) {
	t.Parallel()
	testdb := dbtest.New(t)
	testdb.Exec(t, `CREATE TABLE numbers (n bigint)`)
	config, err := pgx.ParseConfig(testdb.URL)
	require.NoError(t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	const insert, copied = `INSERT INTO numbers SELECT unnest($1::bigint[])`, `COPY numbers (n) FROM STDIN (FORMAT binary)`
	for range 3 {
		p := database.NewPipeline(t.Context(), conn, insert, copied)
		p.Exec(insert, []int64{1, 2})
		p.Copy(copied, func(rows *database.Rows) {
			rows.Row(1)
			rows.Int64(3)
		})
		_, err = p.End(t.Context())
		require.NoError(t, err)
	}
	var sum, prepared int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT sum(n)::int, (SELECT count(*) FROM pg_prepared_statements) FROM numbers`).Scan(&sum, &prepared))
	require.Equal(t, 18, sum)
	require.Zero(t, prepared)
}

func TestNothingAfterAFailedStatementRuns(t *testing.T) {
	t.Parallel()
	conn := things(t)
	_, err := conn.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	p := database.NewPipeline(t.Context(), conn.Conn(), copyThingsSQL, "COMMIT")
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 1) })
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 1) })
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 2) })
	p.Exec("COMMIT")
	_, err = p.End(t.Context())
	require.Equal(t, database.StateUniqueViolation, database.SQLState(err))
	require.Equal(t, "things_pkey", database.Constraint(err))
	require.Equal(t, byte('E'), conn.Conn().PgConn().TxStatus(), "COMMIT was skipped")
	_, err = conn.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.Zero(t, count(t, conn), "and the connection serves on")
}

func TestPipelineRefusesWhatItCannotSend(t *testing.T) {
	t.Parallel()
	conn := things(t)
	p := database.NewPipeline(t.Context(), conn.Conn(), copyThingsSQL)
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 1) })
	p.Exec("DELETE FROM things")
	_, err := p.End(t.Context())
	require.ErrorContains(t, err, "not announced")
	require.Zero(t, count(t, conn), "nothing was sent")

	p = database.NewPipeline(t.Context(), conn.Conn(), "SELECT $1::bigint")
	p.Exec("SELECT $1::bigint", struct{}{})
	_, err = p.End(t.Context())
	require.ErrorContains(t, err, "encoding arguments")

	p = database.NewPipeline(t.Context(), conn.Conn(), "SELECT nonsense")
	_, err = p.End(t.Context())
	require.Error(t, err)
	require.Zero(t, count(t, conn))
}

func TestAbandonedPipelineRollsBack(t *testing.T) {
	t.Parallel()
	conn := things(t)
	p := database.NewPipeline(t.Context(), conn.Conn(), copyThingsSQL)
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 1) })
	p.Abort(t.Context())
	require.Zero(t, count(t, conn), "what was not sent leaves no trace")

	p = database.NewPipeline(t.Context(), conn.Conn(), copyThingsSQL)
	p.Copy(copyThingsSQL, func(rows *database.Rows) { thing(rows, 1) })
	p.Send(t.Context())
	p.Abort(t.Context())
	require.True(t, conn.Conn().IsClosed())
}

func TestPipelineEndsWithItsContext(t *testing.T) {
	t.Parallel()
	conn := things(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := database.NewPipeline(ctx, conn.Conn(), "SELECT pg_sleep(60)")
	p.Exec("SELECT pg_sleep(60)")
	p.Send(ctx)
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := p.End(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, conn.Conn().IsClosed())
}
