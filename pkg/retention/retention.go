// Package retention deletes what is kept for a while only: the history of webhooks
// and stored answers. Money and its idempotency keys are kept for ever.
package retention

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// Kinds of rows, as metrics name them.
const (
	KindDelivery       = "delivery"
	KindFailedDelivery = "failed_delivery"
	KindAttempt        = "attempt"
	KindEvent          = "event"
	KindAnswer         = "idempotency_key"
)

// Kinds lists them all.
func Kinds() []string {
	return []string{KindDelivery, KindFailedDelivery, KindAttempt, KindEvent, KindAnswer}
}

const (
	// page is how many businesses are looked at in one statement.
	page = 200
	// least and most are what is slept after a step; between them as long as the
	// step took, so that deleting never takes more than half of a connection.
	least = 5 * time.Millisecond
	most  = time.Second
)

// Sweeper goes through all businesses again and again, in steps of a few hundred
// rows. A pass that is cut off is begun anew: what it deleted is gone. Several may
// run; they do not wait for each other.
type Sweeper struct {
	DB *database.DB
	// Webhooks is how long events, ended deliveries and their attempts are kept; 0
	// means for ever.
	Webhooks time.Duration
	// Answers is how long stored answers are kept. Defaults to idempotency.Keep.
	Answers time.Duration
	// Rest is kept between two passes, up to a quarter more.
	Rest time.Duration
	Log  logrus.FieldLogger
	// Deleted hears of every step that deleted something.
	Deleted func(kind string, rows int64)
}

// Run works until ctx ends.
func (s *Sweeper) Run(ctx context.Context) {
	if s.Answers == 0 {
		s.Answers = idempotency.Keep
	}
	for ctx.Err() == nil {
		if err := s.pass(ctx); err != nil && ctx.Err() == nil {
			s.Log.WithError(err).Warn("deleting what is too old failed, trying again later")
		}
		rest(ctx, s.Rest+rand.N(s.Rest/4+1))
	}
}

// pass goes through all businesses once.
func (s *Sweeper) pass(ctx context.Context) error {
	var last models.BusinessID
	for {
		businesses, err := outbox.OldHistory(ctx, s.DB, last, s.Webhooks, page)
		if err != nil {
			return err
		}
		ids := make([]models.BusinessID, len(businesses))
		for i, b := range businesses {
			ids[i] = b.Business
			last = b.Business
		}
		if err := s.answers(ctx, ids); err != nil {
			return err
		}
		for _, b := range businesses {
			if !b.Any || s.Webhooks == 0 {
				continue
			}
			if err := s.history(ctx, b.Business); err != nil {
				return err
			}
		}
		if len(businesses) < page {
			return nil
		}
	}
}

func (s *Sweeper) answers(ctx context.Context, businesses []models.BusinessID) error {
	return s.steps(ctx, func() (bool, error) {
		deleted, more, err := idempotency.Purge(ctx, s.DB, businesses, s.Answers)
		s.count(KindAnswer, deleted)
		return more, err
	})
}

// history deletes deliveries first: an event goes when none refers to it.
func (s *Sweeper) history(ctx context.Context, business models.BusinessID) error {
	purger := &outbox.Purger{DB: s.DB, Business: business, Keep: s.Webhooks}
	var failed int64
	err := s.steps(ctx, func() (bool, error) {
		done, err := purger.Deliveries(ctx)
		s.count(KindDelivery, done.Deliveries-done.Failed)
		s.count(KindFailedDelivery, done.Failed)
		s.count(KindAttempt, done.Attempts)
		failed += done.Failed
		return done.More, err
	})
	if failed > 0 {
		s.Log.WithFields(logrus.Fields{"business": business.String(), "deliveries": failed, "retention": s.Webhooks.String()}).
			Warn("failed deliveries are older than webhooks.retention: deleted, they cannot be replayed any more")
	}
	if err != nil {
		return err
	}
	return s.steps(ctx, func() (bool, error) {
		done, err := purger.Events(ctx)
		s.count(KindEvent, done.Events)
		return done.More, err
	})
}

func (s *Sweeper) count(kind string, rows int64) {
	if rows > 0 {
		s.Deleted(kind, rows)
	}
}

// steps repeats a step until it has nothing more to do, sleeping in between.
func (s *Sweeper) steps(ctx context.Context, step func() (more bool, err error)) error {
	for {
		start := time.Now()
		more, err := step()
		if err != nil || !more {
			return err
		}
		rest(ctx, min(max(time.Since(start), least), most))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
