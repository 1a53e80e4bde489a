package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

func TestArrivals(t *testing.T) {
	t.Parallel()
	first, second := []byte(`{"id":"evt_1","type":"x"}`), []byte(`{"id":"evt_2","type":"x"}`)
	at := time.Now()
	seen := arrivals{endpoints: map[string]map[string]struct{}{}}
	_, _, done := seen.newest(2)
	require.False(t, done)
	seen.note("/crowd/0", first, at)
	seen.note("/crowd/0", first, at.Add(time.Second))
	received, _, done := seen.newest(2)
	require.Equal(t, 1, received, "an endpoint counts once")
	require.False(t, done)
	seen.note("/crowd/1", first, at.Add(2*time.Second))
	seen.note("/crowd/1", first, at.Add(3*time.Second))
	_, last, done := seen.newest(2)
	require.True(t, done)
	require.Equal(t, at.Add(2*time.Second), last, "a duplicate is not the last receipt")

	seen.note("/crowd/1", first, at.Add(3*time.Second))
	received, _, done = seen.newest(2)
	require.Zero(t, received, "a duplicate begins no broadcast")
	require.False(t, done)
	seen.note("/crowd/0", second, at)
	seen.note("/crowd/1", second, at)
	_, _, done = seen.newest(2)
	require.True(t, done)
}

func TestEventIDOfARealBody(t *testing.T) {
	t.Parallel()
	events, err := makeEvents([]models.BusinessID{models.NewID[models.BusinessPrefix]()}, 1)
	require.NoError(t, err)
	require.Equal(t, events[0].ID.String(), eventID(events[0].Body))
	require.Empty(t, eventID([]byte(`{"type":"x"}`)))
	require.Empty(t, eventID([]byte(`{"id":"x`)))
}
