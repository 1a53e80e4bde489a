package scenario

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/bench/internal/report"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	require.NoError(t, within(t.Context(), time.Minute, func(context.Context) error { return nil }))
	broken := errors.New("broken")
	require.Equal(t, broken, within(t.Context(), time.Minute, func(context.Context) error { return broken }))

	err := within(t.Context(), time.Millisecond, func(ctx context.Context) error {
		<-ctx.Done()
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "longer than 1ms")
}

func TestAlso(t *testing.T) {
	t.Parallel()
	s := Scenario{
		Name: "a", Unit: report.PerSecond,
		Also: []Figure{{Name: "b", Unit: report.Updates, Goal: report.Goal{Most: 2}}},
	}
	run := func(a, b float64) report.Run { return report.Run{Value: a, Also: map[string]float64{"b": b}} }
	results := s.results([]report.Run{run(10, 1), run(20, 9), run(30, 3)}, nil)
	require.Len(t, results, 2)
	require.InDelta(t, 20, results[0].Value, 0)
	require.Equal(t, "b", results[1].Name)
	require.InDelta(t, 3, results[1].Value, 0)
	require.False(t, *results[1].Met)
}
