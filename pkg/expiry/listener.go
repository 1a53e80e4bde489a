package expiry

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/ledger"
)

// expiredEvents are the keyspace notifications for keys that ran out, in any
// database. Redis sends them when notify-keyspace-events contains E and x.
const expiredEvents = "__keyevent@*__:expired"

// touchTimeout bounds the expiry of one account's holds.
const touchTimeout = 5 * time.Second

// Listener expires holds when their Redis keys run out. Every process that
// listens hears of every key; the account's lock makes one of them do it.
type Listener struct {
	Client *redis.Client
	Ledger *ledger.Ledger
	Log    logrus.FieldLogger
}

// Run listens until ctx ends, and subscribes again whenever Redis comes back.
func (l *Listener) Run(ctx context.Context) {
	subscription := l.Client.PSubscribe(ctx, expiredEvents)
	defer subscription.Close()
	// The channel reconnects by itself and drops what nobody reads.
	messages := subscription.Channel(redis.WithChannelHealthCheckInterval(time.Second))
	for {
		select {
		case <-ctx.Done():
			return
		case message, open := <-messages:
			if !open {
				return
			}
			l.expired(ctx, message.Payload)
		}
	}
}

func (l *Listener) expired(ctx context.Context, key string) {
	business, account, ok := parseKey(key)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, touchTimeout)
	defer cancel()
	if err := l.Ledger.Touch(ctx, business, account); err != nil && ctx.Err() == nil {
		l.Log.WithError(err).Warn("expiring a hold failed; the sweeper will do it")
	}
}
