package doctor

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/devstack"
	"github.com/txn-service/txn/pkg/outbox"
)

// durable starts a server as an operator would, with PostgreSQL's own defaults but
// for what the tests want to see broken.
func durable(t *testing.T, settings map[string]string) *dbtest.Database {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Durable: true, Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close(context.Background())) })
	return dbtest.NewOn(t, server)
}

// TestSoundInstallation: where everything is as it should be, nothing is said.
func TestSoundInstallation(t *testing.T) {
	t.Parallel()
	s := siteOn(t, durable(t, nil))
	redis := dbtest.RedisServer(t)
	s.settings += "redis: {url: \"" + redis.URL() + "\"}\n"
	_, err := outbox.NewDispatcher(s.open()).Appear(t.Context(), 0)
	require.NoError(t, err)
	for name, f := range s.examine() {
		if name == "postgres.data_checksums" {
			continue // as the installed PostgreSQL makes its clusters
		}
		require.Equal(t, OK, f.Status, "%+v", f)
	}
}

func TestUnreachablePostgresIsAFinding(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	for name, url := range map[string]string{
		"nobody listens": "postgres://ada:s3cret@127.0.0.1:1/txn?sslmode=disable",
		"nobody answers": "postgres://ada:s3cret@" + silent.Addr().String() + "/txn?sslmode=disable",
		"no URL":         "postgres://%zz",
		"empty":          "",
	} {
		began := time.Now()
		found := byName(t, Examine(t.Context(), Options{
			ConfigFile: write(t, "database: {url: \""+url+"\"}"), Timeout: 300 * time.Millisecond,
		}))
		require.Less(t, time.Since(began), 5*time.Second, name)
		require.Equal(t, Fail, found["postgres.reachable"].Status, name)
		require.NotContains(t, found["postgres.reachable"].Detail, "s3cret", name)
		for check, f := range found {
			if strings.HasPrefix(check, "postgres.") && check != "postgres.reachable" || strings.HasPrefix(check, "ledger.") {
				require.Equal(t, Finding{Name: check, Status: Skipped, Detail: "needs postgres.reachable"}, f, name)
			}
		}
		require.Equal(t, Skipped, found["redis.reachable"].Status, "none is configured")
	}
}

// TestACheckThatHangs: what somebody else's lock keeps from being looked at is a
// finding, and the rest is looked at all the same.
func TestACheckThatHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.options.Timeout = 500 * time.Millisecond
	tx, err := s.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	_, err = tx.Exec(t.Context(), `LOCK TABLE webhooks IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	began := time.Now()
	found := s.examine()
	require.Less(t, time.Since(began), 7*time.Second, "two checks hang, for half a second each")
	for _, check := range []string{"keys.secrets", "webhooks.disabled"} {
		require.Equal(t, Fail, found[check].Status, check)
		require.Contains(t, found[check].Detail, "no answer within 500ms", check)
	}
	require.Equal(t, OK, found["ledger.overdue_holds"].Status)
}

func TestAlwaysTheSameChecks(t *testing.T) {
	t.Parallel()
	names := func(findings []Finding) (list []string) {
		for _, f := range findings {
			list = append(list, f.Name)
		}
		return list
	}
	s := newSite(t)
	s.examine()
	sound := names(Examine(t.Context(), s.options))
	require.Equal(t, sound, names(Examine(t.Context(), Options{ConfigFile: "/nonexistent.yaml"})))
	require.Equal(t, sound, names(Examine(t.Context(), Options{ConfigFile: write(t, `database: {url: "postgres://127.0.0.1:1/"}`)})))
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	require.True(t, Healthy([]Finding{{Status: OK}, {Status: Warn}, {Status: Skipped}}))
	require.False(t, Healthy([]Finding{{Status: OK}, {Status: Fail}}))
}

// connection is a session of its own, as a client that is in the way.
func connection(t *testing.T, url, application string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	config.RuntimeParams["application_name"] = application
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}
