package doctor

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dbtest.IgnoreServers()) }

// patience bounds what PostgreSQL does in its own time: reloading its settings,
// publishing statistics.
const (
	patience = 30 * time.Second
	tick     = 50 * time.Millisecond
)

// encryptionKey is the key of the installations here.
var encryptionKey = bytes.Repeat([]byte{7}, 32)

// site is an installation to examine.
type site struct {
	t *testing.T
	*dbtest.Database

	// settings are lines of its configuration beside the database.
	settings string
	options  Options
}

func newSite(t *testing.T) *site { return siteOn(t, dbtest.New(t)) }

func siteOn(t *testing.T, db *dbtest.Database) *site {
	t.Helper()
	return &site{
		t: t, Database: db, options: Options{Timeout: patience},
		settings: "security: {encryption_keys: [" + base64.StdEncoding.EncodeToString(encryptionKey) + "]}\n",
	}
}

// examine returns the findings by name.
func (s *site) examine() map[string]Finding {
	s.t.Helper()
	if s.options.ConfigFile == "" {
		s.options.ConfigFile = write(s.t, fmt.Sprintf("database: {url: %q, max_open_conns: 5}\n", s.URL)+s.settings)
	}
	return byName(s.t, Examine(s.t.Context(), s.options))
}

func byName(t *testing.T, findings []Finding) map[string]Finding {
	t.Helper()
	found := make(map[string]Finding, len(findings))
	for _, f := range findings {
		require.NotContains(t, found, f.Name, "a name is there once")
		require.NotEmpty(t, f.Detail, f.Name)
		require.Equal(t, f.Status == Warn || f.Status == Fail, f.Advice != "", "%+v", f)
		found[f.Name] = f
	}
	return found
}

// require looks until a check says what it should: statistics and settings take a
// moment.
func (s *site) require(check string, status Status, detail string) Finding {
	s.t.Helper()
	var last Finding
	require.EventuallyWithT(s.t, func(c *assert.CollectT) {
		last = s.examine()[check]
		assert.Equal(c, status, last.Status, "%+v", last)
		assert.Contains(c, last.Detail, detail)
	}, patience, tick)
	return last
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "txn.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	s.Exec(s.t, sql, args...)
}

// pool opens connections of an application.
func (s *site) pool(application string, connections int) {
	s.t.Helper()
	config, err := pgxpool.ParseConfig(s.URL)
	require.NoError(s.t, err)
	config.ConnConfig.RuntimeParams["application_name"] = application
	config.MaxConns = int32(connections)
	pool, err := pgxpool.NewWithConfig(s.t.Context(), config)
	require.NoError(s.t, err)
	s.t.Cleanup(pool.Close)
	for range connections {
		conn, err := pool.Acquire(s.t.Context())
		require.NoError(s.t, err)
		s.t.Cleanup(conn.Release)
	}
}

// open is the database as the services have it.
func (s *site) open() *database.DB {
	s.t.Helper()
	db, err := database.Open(s.t.Context(), database.Options{URL: s.URL, MaxOpenConns: 4})
	require.NoError(s.t, err)
	s.t.Cleanup(db.Close)
	return db
}

func (s *site) business() models.BusinessID {
	s.t.Helper()
	id := models.NewID[models.BusinessPrefix]()
	s.exec(`INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, id)
	return id
}
