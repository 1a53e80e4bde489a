// Package expiry makes holds run out on time.
//
// The deadline is a column in PostgreSQL. The Sweeper finds what is overdue
// there and needs nothing else. Where there is a Redis, Timers plants a key per
// hold that runs out with it, and the Listener hears of that through keyspace
// notifications, which makes expiry prompt instead of within a sweep. Redis
// holds no truth: a key that is lost, a notification that is off or a listener
// that is away costs promptness and nothing else.
package expiry

import (
	"context"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/ledger"
	"github.com/txn-service/txn/pkg/models"
)

// keyPrefix begins the Redis keys of holds: txn:hold:<business>:<account>:<hold>.
const keyPrefix = "txn:hold:"

func keyOf(h models.Hold) string {
	return keyPrefix + h.BusinessID.String() + ":" + h.AccountID.String() + ":" + h.ID.String()
}

// parseKey returns whose hold a key is about; false for keys of other programs.
func parseKey(key string) (business models.BusinessID, account models.AccountID, ok bool) {
	rest, found := strings.CutPrefix(key, keyPrefix)
	parts := strings.Split(rest, ":")
	if !found || len(parts) != 3 {
		return business, account, false
	}
	business, err := models.ParseID[models.BusinessPrefix](parts[0])
	if err != nil {
		return business, account, false
	}
	account, err = models.ParseID[models.AccountPrefix](parts[1])
	return business, account, err == nil
}

// sweepBatch is how many overdue holds one step of a sweep takes.
const sweepBatch = 500

// Sweeper expires overdue holds from time to time. Any number may run at once.
type Sweeper struct {
	Ledger *ledger.Ledger
	// Interval is how long it rests between sweeps.
	Interval time.Duration
	Log      logrus.FieldLogger
}

// Run sweeps until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	for {
		s.sweep(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweep goes on until nothing is overdue or something fails, which the next
// sweep repeats.
func (s *Sweeper) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		touched, err := s.Ledger.ExpireHolds(ctx, sweepBatch)
		if err != nil {
			if ctx.Err() == nil {
				s.Log.WithError(err).Warn("expiring overdue holds failed; the next sweep tries again")
			}
			return
		}
		if touched == 0 {
			return
		}
	}
}
