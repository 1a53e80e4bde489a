package webhook

import (
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// MaxReplayRate bounds the deliveries per second of one replay.
const MaxReplayRate = 10_000

// StartReplay is outbox.StartReplay for values that come from outside:
// ValidationFailed when they are not acceptable. A rate of 0 is the default.
func StartReplay(tx *gorm.DB, selection outbox.ReplaySelection, rate float64, total *int64) (models.Replay, error) {
	if err := checkReplay(&selection, rate); err != nil {
		return models.Replay{}, err
	}
	return outbox.StartReplay(tx, selection, rate, total)
}

// CountReplay is outbox.CountReplay with the errors of StartReplay.
func CountReplay(db *gorm.DB, selection outbox.ReplaySelection, rate float64) (models.ReplayCount, error) {
	if err := checkReplay(&selection, rate); err != nil {
		return models.ReplayCount{}, err
	}
	return outbox.CountReplay(db, selection)
}

func checkReplay(s *outbox.ReplaySelection, rate float64) error {
	var v errs.Validation
	v.Check(rate >= 0 && rate <= MaxReplayRate, "rate", "must be from 1 to %d a second", MaxReplayRate)
	v.Check(s.Since.IsZero() || s.Until.IsZero() || s.Since.Before(s.Until), "until", "must be after since")
	if len(s.EventTypes) > 0 {
		checkEventTypes(&v, s.EventTypes)
	}
	return v.Err()
}
