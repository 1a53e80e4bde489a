package dispatch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

func TestTheWindowIsBoundedInDeliveriesAndBytes(t *testing.T) {
	t.Parallel()
	s := newScheduler(10)
	for range 1000 {
		s.weigh(outbox.Message{Body: make([]byte, 100)})
	}
	require.Equal(t, windowJobs, s.window())
	for range 1000 {
		s.weigh(outbox.Message{Body: make([]byte, 64<<10)})
	}
	require.InDelta(t, windowBytes>>16, s.window(), 2)
}

// A tenant with very many hungry lanes takes what is left of the window in small
// bites, and another with one is served first.
func TestHungryLanesShareTheWindow(t *testing.T) {
	t.Parallel()
	s := newScheduler(10)
	crowd, other := models.NewID[models.BusinessPrefix](), models.NewID[models.BusinessPrefix]()
	for range 400 {
		offer(s, crowd, 16, 0)
	}
	few := offer(s, other, 16, 0)
	s.poke()
	most := len(s.lanes) - 1
	lanes, wants := s.hungryLanes(most)
	require.Len(t, lanes, most)
	require.Same(t, few, lanes[0])
	total := 0
	for _, want := range wants {
		total += want.Limit
	}
	require.LessOrEqual(t, total, windowJobs+most*fewAtOnce)
	require.Equal(t, 32, wants[0].Limit)
	require.Equal(t, fewAtOnce, wants[most-1].Limit)
	rest, _ := s.hungryLanes(most)
	require.Len(t, rest, 1, "the others are being fetched for")
}
