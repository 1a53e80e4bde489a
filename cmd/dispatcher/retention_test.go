package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
)

func TestWhatIsTooOldIsDeletedAndCounted(t *testing.T) {
	t.Parallel()
	db := dbtest.New(t)
	db.Exec(t, `INSERT INTO businesses (id, name) VALUES (uuid_v7(now(), 1), 'Acme');
		INSERT INTO webhook_events (business_id, id, type, body, created_at)
		SELECT id, uuid_v7(now() - '49 hours'::interval, 1), 'hold.created', ''::bytea, now() - '49 hours'::interval FROM businesses
		UNION ALL SELECT id, uuid_v7(now(), 1), 'hold.created', ''::bytea, now() FROM businesses`)
	config := settings(db.URL)
	config.Webhooks.Retention = 48 * time.Hour
	admin, stop, _ := start(t, config)
	require.Eventually(t, func() bool {
		_, metrics := get(t, admin+"/metrics")
		return strings.Contains(metrics, `txn_retention_deleted_total{kind="event"} 1`)
	}, 10*time.Second, 20*time.Millisecond)
	var left int
	require.NoError(t, db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_events`).Scan(&left))
	require.Equal(t, 1, left)
	require.NoError(t, stop())
}
