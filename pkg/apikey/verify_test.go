package apikey

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func requireCode(t *testing.T, v *Verifier, key string, code errs.Code) {
	t.Helper()
	principal, err := v.Verify(t.Context(), key)
	require.Nil(t, principal)
	require.Equal(t, code, errs.CodeOf(err), "%v", err)
}

func TestVerifyKnowsItsKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	issued := b.issue(t, New{Name: "ci", Scopes: []Scope{AccountsRead, WebhooksWrite}})
	for range 2 { // the second from the cache
		principal, err := v.Verify(t.Context(), issued.Secret)
		require.NoError(t, err)
		require.Equal(t, b.business, principal.BusinessID)
		require.Equal(t, issued.Key.ID, principal.KeyID)
		require.True(t, principal.Allows(AccountsRead))
		require.True(t, principal.Allows(WebhooksWrite))
		require.False(t, principal.Allows(AccountsWrite))
		require.False(t, principal.Allows(KeysManage))
	}
}

func TestVerifyGivesNothingAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	revoked, expired := b.issue(t, New{Name: "revoked"}), b.issue(t, New{Name: "expired"})
	_, err := b.revoke(t, b.business, revoked.Key.ID)
	require.NoError(t, err)
	_, err = b.rotate(t, expired.Key.ID, 0)
	require.NoError(t, err)
	_, unknown := v.Verify(t.Context(), generate())
	require.Equal(t, errs.Unauthenticated, errs.CodeOf(unknown))
	for _, key := range []string{revoked.Secret, expired.Secret, "", "txn_garbage", revoked.Secret[:20]} {
		for range 2 {
			_, err := v.Verify(t.Context(), key)
			require.Equal(t, unknown, err)
		}
	}
}

// Every way to take a key back works on a replica that has just used it, within
// a second of the commit.
func TestVerifyForgetsWithinASecond(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, b bundle, key Issued)
		want   errs.Code
	}{
		"revoked": {func(t *testing.T, b bundle, key Issued) {
			_, err := b.revoke(t, b.business, key.Key.ID)
			require.NoError(t, err)
		}, errs.Unauthenticated},
		"rotated without grace": {func(t *testing.T, b bundle, key Issued) {
			_, err := b.rotate(t, key.Key.ID, 0)
			require.NoError(t, err)
		}, errs.Unauthenticated},
		"suspended": {func(t *testing.T, b bundle, _ Issued) {
			_, err := b.db.Pool.Exec(t.Context(), `UPDATE businesses SET status = 'suspended'`)
			require.NoError(t, err)
		}, errs.BusinessSuspended},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			replicas := []*Verifier{NewVerifier(b.db), NewVerifier(b.db)}
			key := b.issue(t, New{Name: "ci"})
			for _, v := range replicas {
				_, err := v.Verify(t.Context(), key.Secret)
				require.NoError(t, err)
			}
			test.change(t, b, key)
			committed := time.Now()
			for _, v := range replicas {
				for { // busy use must not keep a key alive
					began := time.Now()
					_, err := v.Verify(t.Context(), key.Secret)
					if err != nil {
						require.Equal(t, test.want, errs.CodeOf(err))
						break
					}
					require.Less(t, began.Sub(committed), time.Second)
				}
			}
		})
	}
}

func TestVerifyHearsOfAResumption(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	key := b.issue(t, New{Name: "ci"})
	_, err := b.db.Pool.Exec(t.Context(), `UPDATE businesses SET status = 'suspended'`)
	require.NoError(t, err)
	requireCode(t, v, key.Secret, errs.BusinessSuspended)
	_, err = b.db.Pool.Exec(t.Context(), `UPDATE businesses SET status = 'active'`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), key.Secret)
		return err == nil
	}, 2*time.Second, 10*time.Millisecond)
}

func TestVerifyJudgesExpiryAtEachUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	end := time.Now().Add(300 * time.Millisecond)
	key := b.issue(t, New{Name: "short", ExpiresAt: &end})
	_, err := v.Verify(t.Context(), key.Secret)
	require.NoError(t, err)
	// Nothing but the verdict in the cache can end it: the database is not asked
	// again before refreshAfter.
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), key.Secret)
		return errs.Is(err, errs.Unauthenticated)
	}, refreshAfter-50*time.Millisecond, 5*time.Millisecond)
	require.False(t, time.Now().Before(end.Add(-50*time.Millisecond)))
}

func TestVerdictsAgeFromWhenTheQueryStarted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := NewVerifier(nil)
		sum := hashOf(generate())
		v.keep(sum, &verdict{asked: time.Now(), principal: &Principal{}})
		time.Sleep(refreshAfter - time.Nanosecond)
		require.NotNil(t, v.cached(sum, time.Now()))
		time.Sleep(trust - refreshAfter)
		require.NotNil(t, v.cached(sum, time.Now()))
		time.Sleep(time.Nanosecond)
		require.Nil(t, v.cached(sum, time.Now()))
	})
}

func TestExpiryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	require.Equal(t, now.Add(1500*time.Millisecond), expiryOf(now, 1.5))
	require.True(t, expiryOf(now, -5).Before(now))
	require.True(t, expiryOf(now, 1e12).After(now), "no overflow")
}

func TestVerifyCollapsesConcurrentMisses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	key := b.issue(t, New{Name: "ci"})
	// Holding every connection keeps the one query waiting until all have joined.
	release := b.exhaustPool(t)
	before := b.db.Pool.Stat().AcquireCount()
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			_, err := v.Verify(t.Context(), key.Secret)
			if err != nil {
				t.Errorf("verify: %v", err)
			}
		})
	}
	release()
	group.Wait()
	require.LessOrEqual(t, b.db.Pool.Stat().AcquireCount()-before, int64(3))
}

// exhaustPool borrows every connection of the pool and returns what gives them
// back.
func (b bundle) exhaustPool(t *testing.T) (release func()) {
	t.Helper()
	var releases []func()
	for range b.db.Pool.Config().MaxConns {
		conn, err := b.db.Pool.Acquire(t.Context())
		require.NoError(t, err)
		releases = append(releases, conn.Release)
	}
	return sync.OnceFunc(func() {
		for _, r := range releases {
			r()
		}
	})
}

func TestVerifyGivesUpWithItsRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	key := b.issue(t, New{Name: "ci"})
	release := b.exhaustPool(t)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	_, err := v.Verify(ctx, key.Secret)
	require.Equal(t, errs.Unavailable, errs.CodeOf(err))
	require.Less(t, time.Since(began), queryTimeout/2)
	// The query it started goes on for whoever comes next.
	release()
	_, err = v.Verify(t.Context(), key.Secret)
	require.NoError(t, err)
}

func TestVerifyDuringAnOutage(t *testing.T) {
	t.Parallel()
	server := dbtest.Server(t)
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.NewOn(t, server).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	b := bundle{db: db, business: insertBusiness(t, db)}
	v := NewVerifier(db)
	key := b.issue(t, New{Name: "ci"})
	_, err = v.Verify(t.Context(), key.Secret)
	require.NoError(t, err)

	require.NoError(t, server.StopImmediate(t.Context()))
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), key.Secret)
		return errs.Is(err, errs.Unavailable) && errs.As(err).RetryAfter > 0
	}, 3*time.Second, 20*time.Millisecond, "the cache is no substitute for the database")
	requireCode(t, v, generate(), errs.Unavailable)
	requireCode(t, v, "garbage", errs.Unauthenticated)

	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool {
		_, err := v.Verify(t.Context(), key.Secret)
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
}

// Keys in use are read again many at a time, and nobody waits for it.
func TestKeysInUseAreRefreshedTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	const keys = 50
	sums := make([]hash, keys)
	for i := range keys {
		secret := b.issue(t, New{Name: "ci"}).Secret
		_, err := v.Verify(t.Context(), secret)
		require.NoError(t, err)
		sums[i] = hashOf(secret)
		known, _ := v.known.Get(sums[i])
		require.NotNil(t, v.cached(sums[i], known.asked.Add(refreshAfter)))
		require.NotNil(t, v.cached(sums[i], known.asked.Add(refreshAfter)), "asked for once")
	}
	due := v.stale.take()
	require.Equal(t, sums, due)
	before, queries := time.Now(), b.db.Pool.Stat().AcquireCount()
	v.refresh(t.Context(), due)
	require.Equal(t, queries+1, b.db.Pool.Stat().AcquireCount())
	for _, sum := range sums {
		known, _ := v.known.Get(sum)
		require.True(t, known.asked.After(before))
	}

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { v.Run(ctx) })
	defer running.Wait()
	defer cancel()
	old, _ := v.known.Get(sums[0])
	require.NotNil(t, v.cached(sums[0], old.asked.Add(refreshAfter)))
	require.Eventually(t, func() bool {
		now, _ := v.known.Get(sums[0])
		return now != old
	}, 5*time.Second, time.Millisecond)
}

func TestUnknownKeysDoNotPushKnownOnesOut(t *testing.T) {
	t.Parallel()
	v := NewVerifier(nil)
	now := time.Now()
	known := hashOf(generate())
	v.keep(known, &verdict{asked: now, principal: &Principal{}})
	for i := range 2 * maxUnknown {
		v.keep(hash{0: byte(i), 1: byte(i >> 8), 2: 1}, &verdict{asked: now})
	}
	require.Equal(t, maxUnknown, v.unknown.Len())
	require.NotNil(t, v.cached(known, now))
}

func TestLastUsedIsWrittenInBatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := NewVerifier(b.db)
	used, unused := b.issue(t, New{Name: "used"}), b.issue(t, New{Name: "unused"})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); v.Run(ctx) }()
	_, err := v.Verify(t.Context(), used.Secret)
	require.NoError(t, err)
	require.Nil(t, b.lastUsed(t, used.Key.ID), "not on the request's path")
	stop()
	<-done
	require.WithinDuration(t, time.Now(), *b.lastUsed(t, used.Key.ID), 10*time.Second)
	require.Nil(t, b.lastUsed(t, unused.Key.ID))
}

func (b bundle) lastUsed(t *testing.T, id models.APIKeyID) *time.Time {
	t.Helper()
	key, err := Get(t.Context(), b.db.Gorm, b.business, id)
	require.NoError(t, err)
	return key.LastUsedAt
}

func TestLastUsedNeverRunsBackwards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.issue(t, New{Name: "ci"})
	principal := &Principal{BusinessID: b.business, KeyID: key.Key.ID}
	now := database.Now()
	for _, at := range []time.Time{now, now.Add(-time.Hour)} { // a replica that writes late
		u := newUses(b.db)
		u.add(principal, at)
		u.flush(t.Context())
		require.True(t, now.Equal(*b.lastUsed(t, key.Key.ID)))
	}
}

func TestUsesSurviveAFailedFlush(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.issue(t, New{Name: "ci"})
	u := newUses(b.db)
	u.add(&Principal{BusinessID: b.business, KeyID: key.Key.ID}, database.Now())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	u.flush(cancelled)
	require.Nil(t, b.lastUsed(t, key.Key.ID))
	u.flush(t.Context())
	require.NotNil(t, b.lastUsed(t, key.Key.ID))
	require.Empty(t, u.last)
}

func TestUsesAreBounded(t *testing.T) {
	t.Parallel()
	u := newUses(nil)
	for range maxUses + 10 {
		u.add(&Principal{KeyID: models.NewID[models.APIKeyPrefix]()}, time.Now())
	}
	require.Len(t, u.last, maxUses)
}

// Many replicas write the same keys at once: nobody deadlocks.
func TestUsesOfManyReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var principals []*Principal
	for i := range 20 {
		key := b.issue(t, New{Name: strconv.Itoa(i)})
		principals = append(principals, &Principal{BusinessID: b.business, KeyID: key.Key.ID})
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				u := newUses(b.db)
				for _, p := range principals {
					u.add(p, database.Now())
				}
				if err := u.write(t.Context(), u.last); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkVerifyHit(b *testing.B) {
	v := NewVerifier(nil)
	key := generate()
	kept := &verdict{asked: time.Now().Add(time.Hour), principal: &Principal{}}
	v.keep(hashOf(key), kept)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Verify(context.Background(), key); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
