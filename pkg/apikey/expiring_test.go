package apikey

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCountExpiring(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const day = 24 * time.Hour
	count := func(within time.Duration) int64 {
		n, err := CountExpiring(t.Context(), b.db, within)
		require.NoError(t, err)
		return n
	}
	in := func(d time.Duration) *time.Time { at := time.Now().Add(d); return &at }
	b.issue(t, New{Name: "for ever"})
	b.issue(t, New{Name: "far", ExpiresAt: in(8 * day)})
	soon := b.issue(t, New{Name: "soon", ExpiresAt: in(3 * day)})
	today := b.issue(t, New{Name: "today", ExpiresAt: in(time.Hour)})
	require.EqualValues(t, 1, count(day))
	require.EqualValues(t, 2, count(7*day))

	_, err := b.revoke(t, b.business, today.Key.ID)
	require.NoError(t, err)
	require.Zero(t, count(day), "a revoked key is no key")
	successor, err := b.rotate(t, b.issue(t, New{Name: "rotated"}).Key.ID, day/2)
	require.NoError(t, err)
	require.Zero(t, count(day), "what is left of its time does not matter to anybody who has the next key")
	_, err = b.revoke(t, b.business, successor.Key.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, count(day), "a revoked successor is none")

	_, err = b.rotate(t, soon.Key.ID, day)
	require.NoError(t, err)
	require.EqualValues(t, 2, count(7*day), "its successor expires when it would have")
}
