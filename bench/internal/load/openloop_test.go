package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func countCall(calls *atomic.Int64) func(context.Context, time.Time) error {
	return func(_ context.Context, due time.Time) error {
		if time.Now().Before(due) {
			return errors.New("too early")
		}
		calls.Add(1)
		return nil
	}
}

func TestOpenLoopEndsWithAFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	made, err := OpenLoop(t.Context(), 1000, time.Minute, func(context.Context, time.Time) error { return broken })
	require.ErrorIs(t, err, broken)
	require.Less(t, made, int64(60_000))
}

func TestOpenLoopDoesNotQueueWithoutBound(t *testing.T) {
	t.Parallel()
	_, err := OpenLoop(t.Context(), 10_000, time.Minute, func(ctx context.Context, _ time.Time) error {
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, err, ErrOverrun)
}

func TestOpenLoopEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	_, err := OpenLoop(ctx, 100, time.Minute, func(context.Context, time.Time) error {
		if calls.Add(1) == 3 {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	start := time.Now()
	made, err := OpenLoop(t.Context(), 100, 500*time.Millisecond, countCall(&calls))
	require.NoError(t, err)
	require.Equal(t, int64(50), made)
	require.Equal(t, made, calls.Load())
	require.GreaterOrEqual(t, time.Since(start), 490*time.Millisecond)
}
