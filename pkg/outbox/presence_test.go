package outbox

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDispatchersSeeEachOther(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	second, third := NewDispatcher(k.db), NewDispatcher(k.db)
	appear := func(d *Dispatcher, lanes int) Peers {
		peers, err := d.Appear(t.Context(), lanes)
		require.NoError(t, err)
		return peers
	}
	require.Equal(t, Peers{}, appear(k.Dispatcher, 7), "alone")
	require.Equal(t, Peers{Count: 1, Lanes: 7, Fewest: 7}, appear(second, 3))
	require.Equal(t, Peers{Count: 2, Lanes: 10, Fewest: 3}, appear(third, 0))
	require.Equal(t, Peers{Count: 2, Lanes: 3, Fewest: 0}, appear(k.Dispatcher, 9))

	require.NoError(t, third.Leave(t.Context()))
	require.Equal(t, Peers{Count: 1, Lanes: 3, Fewest: 3}, appear(k.Dispatcher, 9))
	k.exec(`UPDATE webhook_dispatchers SET seen_at = seen_at - $1::interval WHERE id = $2`, Lease, second.owner)
	require.Equal(t, Peers{}, appear(k.Dispatcher, 9), "one that has been silent for a lease is gone")
	require.Equal(t, 2, k.count(`SELECT count(*) FROM webhook_dispatchers`))
	k.exec(`UPDATE webhook_dispatchers SET seen_at = seen_at - '1 hour'::interval WHERE id = $1`, second.owner)
	appear(k.Dispatcher, 9)
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_dispatchers`), "and forgotten")
}
