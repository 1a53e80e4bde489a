package expiry_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/expiry"
	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/ratelimit"
)

// kit is a ledger with a funded account.
type kit struct {
	db       *database.DB
	ledger   *ledger.Ledger
	business models.BusinessID
	account  models.AccountID
	log      *logrus.Logger
}

func newKit(t *testing.T, options ledger.Options) *kit {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	k := &kit{db: db, log: logrus.New()}
	k.log.SetOutput(io.Discard)
	k.ledger = ledger.New(db, options, k.log)
	t.Cleanup(func() { require.NoError(t, k.ledger.Close(context.Background())) })
	b := models.Business{ID: models.NewID[models.BusinessPrefix](), Name: "Acme", Status: models.BusinessActive, DefaultCurrency: "USD"}
	require.NoError(t, db.Gorm.Create(&b).Error)
	k.business = b.ID
	require.NoError(t, db.InTx(t.Context(), func(tx *gorm.DB) error {
		a, err := ledger.CreateAccount(tx, b.ID, ledger.NewAccount{Name: "Main", Currency: "USD"})
		k.account = a.ID
		return err
	}))
	return k
}

// hold sets money aside for about as long as life: longer when the machine was
// too busy to create the hold before it ran out.
func (k *kit) hold(t *testing.T, key string, life time.Duration) {
	t.Helper()
	for {
		expires := time.Now().Add(life)
		_, err := k.ledger.CreateHold(t.Context(), k.business, ledger.NewHold{Account: k.account, Amount: 10, ExpiresAt: &expires, IdempotencyKey: key})
		if !errs.Is(err, errs.ValidationFailed) || life > time.Minute {
			require.NoError(t, err)
			return
		}
		life *= 2
	}
}

// held polls what is held without touching the account.
func (k *kit) held(t *testing.T) int64 {
	t.Helper()
	a, err := k.ledger.Account(t.Context(), k.business, k.account)
	require.NoError(t, err)
	return a.Held
}

// during runs a loop until the end of the test.
func during(t *testing.T, run func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func TestSweeperNeedsNoRedis(t *testing.T) {
	t.Parallel()
	k := newKit(t, ledger.Options{})
	during(t, (&expiry.Sweeper{Ledger: k.ledger, Interval: 20 * time.Millisecond, Log: k.log}).Run)
	k.hold(t, "short", 200*time.Millisecond)
	k.hold(t, "long", time.Hour)
	require.Eventually(t, func() bool { return k.held(t) == 10 }, 10*time.Second, 10*time.Millisecond)
}

func newClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	client, err := ratelimit.NewClient(url) // as the programs have it
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestListenerIsPromptAndSurvivesARestartOfRedis(t *testing.T) {
	t.Parallel()
	server := dbtest.RedisServer(t)
	client := newClient(t, server.URL())
	require.NoError(t, client.ConfigSet(t.Context(), "notify-keyspace-events", "Ex").Err())
	timers := expiry.NewTimers(client, logrus.New())
	k := newKit(t, ledger.Options{HoldCreated: timers.Plant})
	during(t, timers.Run)
	during(t, (&expiry.Listener{Client: client, Ledger: k.ledger, Log: k.log}).Run)
	// No sweeper runs: only the listener can do it.
	require.Eventually(t, func() bool {
		k.hold(t, "first"+time.Now().String(), 50*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		return k.held(t) < 10*10
	}, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return k.held(t) == 0 }, 10*time.Second, 10*time.Millisecond)

	require.NoError(t, server.StopImmediate(t.Context()))
	k.hold(t, "while away", 50*time.Millisecond)
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool { return client.ConfigSet(t.Context(), "notify-keyspace-events", "Ex").Err() == nil },
		20*time.Second, 20*time.Millisecond)
	// The first was lost with Redis; a later one takes it along.
	require.Eventually(t, func() bool {
		k.hold(t, "again"+time.Now().String(), 50*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		return k.held(t) == 0
	}, 30*time.Second, 50*time.Millisecond)
}

func TestWithoutNotificationsNothingBreaks(t *testing.T) {
	t.Parallel()
	client := newClient(t, dbtest.RedisServer(t).URL())
	require.NoError(t, client.ConfigSet(t.Context(), "notify-keyspace-events", "").Err())
	timers := expiry.NewTimers(client, logrus.New())
	k := newKit(t, ledger.Options{HoldCreated: timers.Plant})
	during(t, timers.Run)
	during(t, (&expiry.Listener{Client: client, Ledger: k.ledger, Log: k.log}).Run)
	during(t, (&expiry.Sweeper{Ledger: k.ledger, Interval: 50 * time.Millisecond, Log: k.log}).Run)
	require.NoError(t, client.Set(t.Context(), "txn:hold:garbage", "", time.Millisecond).Err())
	k.hold(t, "one", 100*time.Millisecond)
	require.Eventually(t, func() bool { return k.held(t) == 0 }, 10*time.Second, 10*time.Millisecond)
}
