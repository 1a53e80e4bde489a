package expiry

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/models"
)

const (
	// timerQueue bounds the holds whose key has not been planted yet. A hold that
	// finds it full is left to the sweeper.
	timerQueue = 1024
	// timerTimeout bounds one call to Redis.
	timerTimeout = 200 * time.Millisecond
	// timerSlack has the key run out a little after the hold, so that whoever hears
	// of it finds the hold overdue.
	timerSlack = 20 * time.Millisecond
)

// Timers plants a Redis key for each hold that expires.
type Timers struct {
	client *redis.Client
	log    logrus.FieldLogger
	holds  chan models.Hold
}

// NewTimers prepares timers; Run plants them.
func NewTimers(client *redis.Client, log logrus.FieldLogger) *Timers {
	return &Timers{client: client, log: log, holds: make(chan models.Hold, timerQueue)}
}

// Plant takes a hold without ever blocking; see ledger.Options.HoldCreated.
func (t *Timers) Plant(h models.Hold) {
	select {
	case t.holds <- h:
	default:
	}
}

// Run plants keys until ctx ends.
func (t *Timers) Run(ctx context.Context) {
	healthy := true
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-t.holds:
			err := t.plant(ctx, h)
			// One line per change of state: Redis may be away for long.
			if (err == nil) != healthy && ctx.Err() == nil {
				healthy = err == nil
				t.log.WithField("healthy", healthy).Info("Redis timers of holds changed state")
			}
		}
	}
}

func (t *Timers) plant(ctx context.Context, h models.Hold) error {
	ctx, cancel := context.WithTimeout(ctx, timerTimeout)
	defer cancel()
	rest := time.Until(*h.ExpiresAt) + timerSlack
	if rest <= timerSlack {
		return nil
	}
	return t.client.Set(ctx, keyOf(h), "", rest).Err()
}
