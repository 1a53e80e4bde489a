package dispatch

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheClockGoesOnFromItsLastReading(t *testing.T) {
	t.Parallel()
	var c clock
	require.WithinDuration(t, time.Now(), c.now(), time.Second, "the local time before the first reading")
	for _, skew := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
		asked := time.Now()
		ahead := c.set(asked.Add(time.Second-skew).Round(0), asked, asked.Add(2*time.Second))
		require.InDelta(t, skew.Seconds(), ahead.Seconds(), 0.001, "it was read in the middle")
		require.WithinDuration(t, asked.Add(-skew), c.now(), time.Second)
	}
	before := c.now()
	require.Eventually(t, func() bool { return c.now().After(before) }, time.Second, time.Millisecond)
}
