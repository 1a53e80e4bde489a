package httpapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

// ends fails the test unless waiting ends long before its patience.
func ends(t *testing.T, wait func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		require.FailNow(t, "it waits on")
		return nil
	}
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	business, broken := models.NewID[models.BusinessPrefix](), errors.New("broken")
	never := func() (bool, error) { return false, nil }
	w := newWaiters()
	looks := 0
	require.NoError(t, ends(t, func() error {
		return w.until(t.Context(), business, time.Hour, func() (bool, error) { looks++; return looks == 3, nil })
	}), "when there is nothing more to wait for")
	require.Equal(t, 3, looks)
	require.ErrorIs(t, ends(t, func() error {
		return w.until(t.Context(), business, time.Hour, func() (bool, error) { return false, broken })
	}), broken)
	require.NoError(t, ends(t, func() error { return w.until(t.Context(), business, time.Millisecond, never) }), "with patience")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, ends(t, func() error { return w.until(ctx, business, time.Hour, never) }), "with the caller")
	w.stopWaiting()
	w.stopWaiting()
	require.NoError(t, ends(t, func() error { return w.until(t.Context(), business, time.Hour, never) }), "with the server")
	require.Zero(t, w.all)
	require.Empty(t, w.ofBusiness)
}

func TestOnlySoManyWait(t *testing.T) {
	t.Parallel()
	w := newWaiters()
	for range maxWaiters / maxWaitersPerBusiness {
		business := models.NewID[models.BusinessPrefix]()
		for range maxWaitersPerBusiness {
			require.True(t, w.enter(business))
		}
		require.False(t, w.enter(business), "one business leaves room for others")
	}
	other := models.NewID[models.BusinessPrefix]()
	require.False(t, w.enter(other))
	require.NoError(t, w.until(t.Context(), other, time.Hour, func() (bool, error) {
		require.Fail(t, "it looks without a place")
		return true, nil
	}))
	w.leave(models.NewID[models.BusinessPrefix]())
	require.True(t, w.enter(other))
}
