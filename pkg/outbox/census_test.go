package outbox

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestCountEndpoints(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	count := func() map[string]int64 {
		counts, err := CountEndpoints(t.Context(), k.db)
		require.NoError(t, err)
		return counts
	}
	require.Equal(t, map[string]int64{"active": 0, "paused": 0, "disabled": 0}, count(), "what is not there is 0, not missing")
	for range 2 {
		business := k.business()
		k.endpoint(business, "")
		k.endpoint(business, "status = 'paused'")
		k.endpoint(business, "status = 'disabled', disabled_reason = 'gone'")
		k.endpoint(business, "status = 'disabled', disabled_reason = 'gone', deleted_at = now()")
	}
	k.endpoint(k.business(), "")
	require.Equal(t, map[string]int64{"active": 3, "paused": 2, "disabled": 2}, count(), "of all businesses, without the deleted ones")

	k.exec(`INSERT INTO webhooks (business_id, id, url, event_types, secret_ciphertext, max_concurrency)
		SELECT $1, uuid_v7(now(), n), 'https://example.com/', '{*}', 'x', 1 FROM generate_series(1, 20000) n`, k.business())
	k.exec(`ANALYZE webhooks`)
	rows, err := k.db.Pool.Query(t.Context(), `EXPLAIN `+censusSQL)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan, "\n"), "webhooks_inactive_idx")
}
