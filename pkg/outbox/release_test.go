package outbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

func TestAReleaseTellsThatTheLaneIsDue(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.endpoint(business, "")
	k.events(business, models.EventAccountCreated, 1)
	k.fanOutAll()
	for _, test := range []struct {
		next  string
		block time.Duration
		due   bool
	}{{"-1 s", time.Hour, false}, {"1 hour", 0, false}, {"-1 s", 0, true}} {
		k.exec(`UPDATE webhook_lanes SET due_at = now(), blocked_until = '-infinity'`)
		lane := k.claimOne()
		touches := k.fetchOne(lane).Touches
		k.exec(`UPDATE webhook_deliveries SET next_attempt_at = now() + $1::interval`, test.next)
		released, err := k.Release(t.Context(), []Release{{LaneKey: lane.LaneKey, Epoch: lane.Epoch, Touches: touches, Block: test.block}})
		require.NoError(t, err)
		require.Equal(t, []Released{{LaneKey: lane.LaneKey, Due: test.due}}, released, "%+v", test)
	}
}
