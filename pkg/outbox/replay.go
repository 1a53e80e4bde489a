package outbox

import (
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// DefaultReplayRate is how many deliveries a second a replay makes due.
const DefaultReplayRate = 100

const (
	// maxOpenReplays bounds what one business can have dispatchers work on.
	maxOpenReplays = 10
	// replayHistory is how long a replay that has ended can be looked up.
	replayHistory = 30 * 24 * time.Hour
	// openReplaysLock is the class of the advisory locks that make counting the
	// open replays of a business and adding one atomic.
	openReplaysLock = 7103
)

// ReplaySelection says what to replay. BusinessID is required; with nothing
// else, everything failed of the business is meant.
type ReplaySelection struct {
	BusinessID models.BusinessID
	// DeliveryID replays one delivery, whether it was delivered or failed. The
	// other fields but BusinessID must be zero then.
	DeliveryID models.DeliveryID
	// EventID replays one event, to WebhookID or, without one, to every endpoint
	// that subscribes to it or had it. The fields below must be zero then.
	EventID models.EventID
	// WebhookID replays what failed on one endpoint.
	WebhookID models.WebhookID
	// Since and Until leave out events created before and not before these times;
	// zero does not. With WebhookID and Since, the endpoint also gets the events
	// that match its filter and that it never had.
	Since, Until time.Time
	// EventTypes leaves out events of other types; they are written like an
	// endpoint's filter, and empty does not.
	EventTypes []string
	// FailedOnly leaves out what the endpoint never had.
	FailedOnly bool
}

// single reports whether the selection is so small that it is replayed at once.
func (s *ReplaySelection) single() bool { return !s.DeliveryID.IsZero() || !s.EventID.IsZero() }

// failedOnly reports whether only deliveries are restarted and none are made.
func (s *ReplaySelection) failedOnly() bool {
	return s.FailedOnly || s.WebhookID.IsZero() || s.Since.IsZero()
}

// eventTypes is nil when no type is left out.
func (s *ReplaySelection) eventTypes() models.TextList {
	if len(s.EventTypes) == 0 {
		return nil
	}
	return s.EventTypes
}

// bounds are the events of the selection as a range of ids, both ends excluded.
func (s *ReplaySelection) bounds(now time.Time) (after, before models.EventID) {
	until := s.Until
	if until.IsZero() {
		until = now
	}
	return firstEventAt(s.Since), firstEventAt(until)
}

// firstEventAt is the id below those of all events at or after t; there are none
// before 1970.
func firstEventAt(t time.Time) models.EventID {
	if t.Unix() <= 0 {
		return models.EventID{}
	}
	return models.FirstIDAt[models.EventPrefix](t)
}

// StartReplay sends ended deliveries again: same id, same webhook-id, next run,
// the schedule from its beginning, the attempt numbers going on. What is pending
// already is counted and left alone.
//
// One delivery and one event are replayed in the caller's transaction, and the
// replay returned has completed. Anything else becomes a row that dispatchers
// work off in steps, rate deliveries a second: it survives the crash of anyone,
// and FindReplay tells how far it is. total is what CountReplay has found, nil if
// it was not asked.
//
// NotFound for an unknown delivery, event or endpoint; InvalidState for a
// disabled endpoint, which a replay without WebhookID skips, and for a delivery
// whose event has been deleted; LimitExceeded when ten replays of the business
// are open.
func StartReplay(tx *gorm.DB, selection ReplaySelection, rate float64, total *int64) (models.Replay, error) {
	if err := forgetReplays(tx, selection.BusinessID); err != nil {
		return models.Replay{}, err
	}
	if rate <= 0 {
		rate = DefaultReplayRate
	}
	row, err := newReplay(tx, selection, rate)
	switch {
	case err != nil:
	case selection.single():
		err = replayNow(tx, selection, &row)
	default:
		row.Total = total
		err = queueReplay(tx, selection, &row)
	}
	return row, database.Coded(err)
}

// newReplay is the row of a replay that begins now, by the database's clock.
func newReplay(tx *gorm.DB, selection ReplaySelection, rate float64) (models.Replay, error) {
	row := models.Replay{
		BusinessID: selection.BusinessID,
		DeliveryID: given(selection.DeliveryID), EventID: given(selection.EventID), WebhookID: given(selection.WebhookID),
		Until: selection.Until, EventTypes: selection.eventTypes(), FailedOnly: !selection.single() && selection.failedOnly(),
		Rate: rate, Status: models.ReplayPending,
	}
	if err := tx.Raw(`SELECT statement_timestamp()`).Scan(&row.CreatedAt).Error; err != nil {
		return row, fmt.Errorf("reading the clock: %w", err)
	}
	row.ID = models.NewIDAt[models.ReplayPrefix](row.CreatedAt)
	if !selection.Since.IsZero() {
		row.Since = &selection.Since
	}
	if row.Until.IsZero() {
		row.Until = row.CreatedAt // what happens later is delivered anyway
	}
	return row, nil
}

// given is nil for the zero id.
func given[P models.Prefix](id models.ID[P]) *models.ID[P] {
	if id.IsZero() {
		return nil
	}
	return &id
}

// CountReplay counts what StartReplay would find and changes nothing: Matched,
// Missing, Pending and Skipped. Errors as for StartReplay.
func CountReplay(db *gorm.DB, selection ReplaySelection) (models.ReplayCount, error) {
	var count models.ReplayCount
	var err error
	if selection.single() {
		count, err = countNow(db, selection)
	} else {
		count, err = countQueued(db, selection)
	}
	return count, database.Coded(err)
}

// FindReplay returns a replay, NotFound for one that is unknown or another
// business's. Those that ended 30 days ago are forgotten with the next one.
func FindReplay(db *gorm.DB, business models.BusinessID, id models.ReplayID) (models.Replay, error) {
	var row models.Replay
	err := db.Where("business_id = ? AND id = ?", business, id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, errs.New(errs.NotFound, "no such replay")
	}
	return row, database.Coded(err)
}

// ListReplays returns up to limit replays, newest first, that come after the one
// given (zero: from the start); an empty status does not narrow.
func ListReplays(
	db *gorm.DB, business models.BusinessID, status models.ReplayStatus, after models.ReplayID, limit int,
) ([]models.Replay, error) {
	query := db.Where("business_id = ?", business)
	if status != "" {
		query = query.Where("status = ?", status)
	}
	if !after.IsZero() {
		query = query.Where("id < ?", after)
	}
	var rows []models.Replay
	err := query.Order("id DESC").Limit(limit).Find(&rows).Error
	return rows, database.Coded(err)
}

// CancelReplay ends an open replay: what it has replayed stays pending, the rest
// stays as it is. Cancelling twice changes nothing; NotFound as for FindReplay,
// InvalidState for one that has ended otherwise.
func CancelReplay(tx *gorm.DB, business models.BusinessID, id models.ReplayID) (models.Replay, error) {
	// A step that is under way holds the same lock, for milliseconds.
	row, err := FindReplay(tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}), business, id)
	switch {
	case err != nil || row.Status == models.ReplayCancelled:
		return row, err
	case !row.Status.Open():
		return row, errs.New(errs.InvalidState, "the replay has ended: it is %s", row.Status)
	}
	err = tx.Exec(`DELETE FROM webhook_replay_targets WHERE business_id = ? AND replay_id = ?`, business, id).Error
	if err == nil {
		err = tx.Raw(`UPDATE webhook_replays SET status = 'cancelled', finished_at = now()
			WHERE business_id = ? AND id = ? RETURNING *`, business, id).Scan(&row).Error
	}
	if err != nil {
		return row, database.Coded(fmt.Errorf("cancelling a replay: %w", err))
	}
	return row, nil
}

// forgetReplays deletes a few of the business's oldest replays, so that no more
// are kept than are made.
func forgetReplays(tx *gorm.DB, business models.BusinessID) error {
	before := models.FirstIDAt[models.ReplayPrefix](time.Now().Add(-replayHistory))
	err := tx.Exec(`DELETE FROM webhook_replays WHERE business_id = ? AND id IN (
		SELECT id FROM webhook_replays WHERE business_id = ? AND id < ? AND finished_at IS NOT NULL ORDER BY id LIMIT 100)`,
		business, business, before).Error
	if err != nil {
		return fmt.Errorf("forgetting replays: %w", err)
	}
	return nil
}

// requireLive keeps the endpoint from being changed, disabled or deleted until
// the transaction ends, and refuses one that is disabled or deleted.
func requireLive(tx *gorm.DB, business models.BusinessID, webhook models.WebhookID) error {
	var status models.WebhookStatus
	err := tx.Raw(`SELECT status FROM webhooks WHERE business_id = ? AND id = ? AND deleted_at IS NULL FOR SHARE`,
		business, webhook).Scan(&status).Error
	switch {
	case err != nil:
		return fmt.Errorf("looking for a webhook: %w", err)
	case status == "":
		return errs.New(errs.NotFound, "no such webhook")
	case status == models.WebhookDisabled:
		return errs.New(errs.InvalidState, "the webhook is disabled: enable it first")
	}
	return nil
}
