// Package outbox is the PostgreSQL side of webhook delivery: events written in
// the transaction of what they tell, their fan-out to deliveries, and the lanes
// that dispatchers lease to send them.
package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// Parts is how many slices the outbox has. One dispatcher at a time fans a part
// out, so a part is the unit of parallelism of the fan-out.
const Parts = 4

// PartOf returns the part that a business's events go to. One business is always
// in one part: its events fan out in the order of the outbox sequence. The last
// byte of a UUIDv7 is random.
func PartOf(business models.BusinessID) int16 { return int16(business[15] % Parts) }

const insertEventSQL = `INSERT INTO webhook_events (business_id, id, type, body, created_at, trace_context) VALUES (?, ?, ?, ?, ?, ?)`

const insertOutboxSQL = `INSERT INTO webhook_outbox (part, business_id, event_id, type) VALUES (?, ?, ?, ?)`

// Append writes one event and its outbox row in the caller's transaction, with the
// trace of the transaction's context.
func Append(tx *gorm.DB, event models.Event) error {
	if err := insertEvent(tx, event); err != nil {
		return err
	}
	if err := tx.Exec(insertOutboxSQL, PartOf(event.BusinessID), event.BusinessID, event.ID, event.Type).Error; err != nil {
		return fmt.Errorf("writing outbox: %w", err)
	}
	return nil
}

func insertEvent(tx *gorm.DB, event models.Event) error {
	err := tx.Exec(insertEventSQL, event.BusinessID, event.ID, event.Type, event.Body, event.CreatedAt, TraceContext(tx.Statement.Context)).Error
	if err != nil {
		return fmt.Errorf("writing event: %w", err)
	}
	return nil
}

const (
	copyEventsSQL = `COPY webhook_events (business_id, id, type, body, created_at, trace_context) FROM STDIN (FORMAT binary)`
	copyOutboxSQL = `COPY webhook_outbox (part, business_id, event_id, type) FROM STDIN (FORMAT binary)`
)

// WriteStatements are what Write runs, to be announced to its pipeline.
var WriteStatements = []string{copyEventsSQL, copyOutboxSQL}

// Write adds many events, in order, to a pipeline of the caller's transaction.
// The caller holds the locks of the accounts that the events are about.
func Write(p *database.Pipeline, events []models.Event) {
	WriteEvents(p, events)
	Enqueue(p, events)
}

// WriteEvents adds the events alone, which needs no lock yet. Nobody gets them
// unless Enqueue follows.
func WriteEvents(p *database.Pipeline, events []models.Event) {
	if len(events) == 0 {
		return
	}
	p.Copy(copyEventsSQL, func(rows *database.Rows) {
		for i := range events {
			e := &events[i]
			rows.Row(6)
			rows.UUID(e.BusinessID)
			rows.UUID(e.ID)
			rows.Text(string(e.Type))
			rows.Bytes(e.Body)
			rows.Time(e.CreatedAt)
			rows.OptionalText(e.TraceContext) // of an event that is not sampled, four bytes
		}
	})
}

// Enqueue adds the outbox rows of events that WriteEvents has added, in order. The
// caller holds the locks of the accounts that the events are about, which makes the
// outbox sequence run in commit order for each account.
func Enqueue(p *database.Pipeline, events []models.Event) {
	if len(events) == 0 {
		return
	}
	p.Copy(copyOutboxSQL, func(rows *database.Rows) {
		for i := range events {
			e := &events[i]
			rows.Row(4)
			rows.Int16(PartOf(e.BusinessID))
			rows.UUID(e.BusinessID)
			rows.UUID(e.ID)
			rows.Text(string(e.Type))
		}
	})
}

// AppendMany is Append for many events, in order.
func AppendMany(ctx context.Context, tx pgx.Tx, events []models.Event) error {
	p := database.NewPipeline(ctx, tx.Conn(), WriteStatements...)
	Write(p, events)
	if _, err := p.End(ctx); err != nil {
		return fmt.Errorf("writing events: %w", err)
	}
	return nil
}
