package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// idle returns a scheduler with one lane that has nothing to do.
func idle() (*scheduler, *lane) {
	s := newScheduler(10)
	l := offer(s, models.NewID[models.BusinessPrefix](), 1, 0)
	l.hungry = false
	woken(s.fetch)
	return s, l
}

// woken takes a signal off a channel.
func woken(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAFetchThatFailedIsDoneAgain(t *testing.T) {
	t.Parallel()
	s, l := idle()
	s.poke(l.LaneKey)
	require.True(t, woken(s.fetch))
	lanes, _ := s.hungryLanes(10)
	require.Len(t, lanes, 1)
	s.failFetch(lanes)
	require.Eventually(t, func() bool { return woken(s.fetch) }, 5*time.Second, time.Millisecond, "nobody else would say so")
	lanes, _ = s.hungryLanes(10)
	require.Len(t, lanes, 1)
}

// Work that comes while a lane is being given back is fetched if that fails, is
// refused, or is overtaken by a new claim.
func TestWorkThatComesDuringAReleaseIsFetched(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*scheduler, *lane, []outbox.Release, []*lane){
		"failed":  func(s *scheduler, _ *lane, _ []outbox.Release, lanes []*lane) { s.unrelease(lanes) },
		"refused": func(s *scheduler, _ *lane, asked []outbox.Release, lanes []*lane) { s.released(asked, lanes, nil) },
		"claimed again": func(s *scheduler, l *lane, asked []outbox.Release, lanes []*lane) {
			row := l.Lane
			row.Epoch++
			s.hold(row, l.target, time.Now())
			woken(s.fetch)
			require.Empty(t, first(s.hungryLanes(10)))
			s.released(asked, lanes, []outbox.Released{{LaneKey: l.LaneKey}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, l := idle()
			asked, lanes := s.releasable(time.Now().Add(time.Minute))
			require.Len(t, lanes, 1)
			s.poke(l.LaneKey)
			require.True(t, woken(s.fetch))
			require.Empty(t, first(s.hungryLanes(10)), "not while it may be somebody else's")
			end(s, l, asked, lanes)
			require.True(t, woken(s.fetch))
			require.Len(t, first(s.hungryLanes(10)), 1)
		})
	}
}

func first(lanes []*lane, _ []outbox.Want) []*lane { return lanes }
