// Package outbox is the PostgreSQL side of webhook delivery: events written in
// the transaction of what they tell, their fan-out to deliveries, and the lanes
// that dispatchers lease to send them.
package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/models"
)

// Parts is how many slices the outbox has. One dispatcher at a time fans a part
// out, so a part is the unit of parallelism of the fan-out.
const Parts = 4

// PartOf returns the part that a business's events go to. One business is always
// in one part: its events fan out in the order of the outbox sequence. The last
// byte of a UUIDv7 is random.
func PartOf(business models.BusinessID) int16 { return int16(business[15] % Parts) }

const insertEventSQL = `INSERT INTO webhook_events (business_id, id, type, body, created_at) VALUES (?, ?, ?, ?, ?)`

const insertOutboxSQL = `INSERT INTO webhook_outbox (part, business_id, event_id, type) VALUES (?, ?, ?, ?)`

// Append writes one event and its outbox row in the caller's transaction.
func Append(tx *gorm.DB, event models.Event) error {
	if err := tx.Exec(insertEventSQL, event.BusinessID, event.ID, event.Type, event.Body, event.CreatedAt).Error; err != nil {
		return fmt.Errorf("writing event: %w", err)
	}
	if err := tx.Exec(insertOutboxSQL, PartOf(event.BusinessID), event.BusinessID, event.ID, event.Type).Error; err != nil {
		return fmt.Errorf("writing outbox: %w", err)
	}
	return nil
}

const appendManySQL = `WITH e AS (
    SELECT * FROM unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::timestamptz[])
           WITH ORDINALITY AS e (part, business_id, id, type, body, created_at, n)
), stored AS (
    INSERT INTO webhook_events (business_id, id, type, body, created_at)
    SELECT business_id, id, type, body, created_at FROM e ORDER BY n
)
INSERT INTO webhook_outbox (part, business_id, event_id, type)
SELECT part, business_id, id, type FROM e ORDER BY n`

// QueueAppend adds the statement that writes many events, in order, to a
// pipelined batch of the caller's transaction. The caller holds the locks of
// the accounts that the events are about, which makes the outbox sequence run
// in commit order for each account.
func QueueAppend(batch *pgx.Batch, events []models.Event) {
	n := len(events)
	parts, businesses, ids := make([]int16, n), make([]models.BusinessID, n), make([]models.EventID, n)
	types, bodies, times := make([]string, n), make([][]byte, n), make([]time.Time, n)
	for i, e := range events {
		parts[i], businesses[i], ids[i] = PartOf(e.BusinessID), e.BusinessID, e.ID
		types[i], bodies[i], times[i] = string(e.Type), e.Body, e.CreatedAt
	}
	batch.Queue(appendManySQL, parts, businesses, ids, types, bodies, times)
}

// AppendMany is QueueAppend run at once.
func AppendMany(ctx context.Context, tx pgx.Tx, events []models.Event) error {
	if len(events) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	QueueAppend(batch, events)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	return nil
}
