package scenario

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/stack"
	"github.com/txn-service/txn/pkg/models"
)

// newTestSite is a site on servers that end with the test.
func newTestSite(t *testing.T) (*Bench, *site) {
	t.Helper()
	receiver, err := load.NewReceiver()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, receiver.Close()) })
	servers, err := stack.Start(t.Context(), stack.Options{Progress: t.Output()})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		require.NoError(t, servers.Close(ctx))
	})
	require.NoError(t, err)
	b := New(servers, receiver, Options{Progress: t.Output(), Duration: time.Second})
	s, err := b.newSite(t.Context(), "site")
	require.NoError(t, err)
	t.Cleanup(s.db.Close)
	return b, s
}

func (s *site) execute(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := s.db.Pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func (s *site) text(t *testing.T, sql string) string {
	t.Helper()
	var text string
	require.NoError(t, s.db.Pool.QueryRow(t.Context(), sql).Scan(&text))
	return text
}

func TestSite(t *testing.T) {
	t.Parallel()
	b, s := newTestSite(t)
	t.Run("deliveries", func(t *testing.T) { testDeliveries(t, s) })
	t.Run("history", func(t *testing.T) { testHistory(t, b, s) })
}

// testHistory lets the ledger's own audit judge what fill writes.
func testHistory(t *testing.T, b *Bench, s *site) {
	const schema = `SELECT string_agg(conname || ' ' || pg_get_constraintdef(c.oid), E'\n' ORDER BY conname) || coalesce(min(r.reloptions::text), '')
		FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid OR r.oid = c.conindid
		WHERE conrelid IN ('transactions'::regclass, 'entries'::regclass)`
	before := s.text(t, schema)
	made := &ledgerSite{site: s}
	var histories []*history
	for accounts, transfers := range map[int]int{2: 9, 7: 1000, 20: 500, 60: 25_000} {
		h, err := made.past(t.Context(), accounts, transfers)
		require.NoError(t, err)
		histories = append(histories, h)
	}
	require.NoError(t, b.fill(t.Context(), s, histories...))
	require.Equal(t, before, s.text(t, schema), "the schema is as it was")
	for _, h := range histories {
		require.NoError(t, h.verify(t.Context(), s), "%d accounts", len(h.accounts))
	}
	require.Equal(t, "true", s.text(t, `SELECT (count(DISTINCT transaction_id) = (SELECT count(*) FROM transactions)
		AND max(created_at) <= now() AND min(created_at) > now() - interval '91 days')::text FROM entries`))

	s.execute(t, `UPDATE business_accounts SET version = version + 1 WHERE business_id = $1 AND id = $2`,
		histories[0].business, histories[0].accounts[0])
	require.ErrorIs(t, histories[0].verify(t.Context(), s), errBadHistory)
	histories[1].transfers += len(histories[1].accounts)
	require.ErrorIs(t, histories[1].verify(t.Context(), s), errBadHistory, "rows are missing")
}

func testDeliveries(t *testing.T, s *site) {
	id, _, err := s.business(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.endpoints(t.Context(), id, 3, func(i int) string { return fmt.Sprintf("http://127.0.0.1:1/%d", i) }))
	_, err = s.appendBacklog(t.Context(), []models.BusinessID{id}, 5)
	require.NoError(t, err)
	require.NoError(t, s.fanOut(t.Context()))
	counted, err := s.states(t.Context())
	require.NoError(t, err)
	require.Equal(t, states{all: 15, pending: 15}, counted)

	require.ErrorIs(t, s.requireDelivered(t.Context(), 0), errLost, "15 are pending")
	require.ErrorContains(t, s.settle(t.Context(), 100*time.Millisecond), "15 deliveries are not done")
	s.execute(t, `UPDATE webhook_deliveries SET status = 'delivered', finished_at = now()`)
	require.NoError(t, s.requireDelivered(t.Context(), 15))
	require.NoError(t, s.requireNoneFailed(t.Context()))
	require.ErrorIs(t, s.requireDelivered(t.Context(), 14), errLost)
	require.ErrorIs(t, s.requireAllDelivered(t.Context()), errLost, "5 events, 15 deliveries")
	s.execute(t, `UPDATE webhook_deliveries SET status = 'failed', failure_reason = 'x' WHERE id = (SELECT min(id::text)::uuid FROM webhook_deliveries)`)
	require.ErrorIs(t, s.requireNoneFailed(t.Context()), errLost)
}
