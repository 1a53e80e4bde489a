package dispatch

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
)

// disableTimeout bounds the disabling of an endpoint that answered 410. Its lane
// waits for as long, so that it hears no more.
const disableTimeout = 10 * time.Second

// gone disables an endpoint that answered 410 at the address, unless it has moved
// since. What is pending ends with it, the delivery that got the answer included;
// one that has moved gets it again.
func (d *Dispatcher) gone(key outbox.LaneKey, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), disableTimeout)
	defer cancel()
	d.disable(ctx, key, func(tx *gorm.DB) (models.Webhook, error) {
		return outbox.DisableAt(tx, key.BusinessID, key.WebhookID, address, "it answered 410 Gone")
	})
}

// disableOverdue disables an endpoint that has only failed for five days.
func (d *Dispatcher) disableOverdue(ctx context.Context, key outbox.LaneKey) {
	d.disable(ctx, key, func(tx *gorm.DB) (models.Webhook, error) {
		return outbox.DisableOverdue(tx, key.BusinessID, key.WebhookID)
	})
}

// disable ends an endpoint, unless the database knows better by now. When it
// fails, the endpoint's next answer brings it here again.
func (d *Dispatcher) disable(ctx context.Context, key outbox.LaneKey, end func(*gorm.DB) (models.Webhook, error)) {
	var row models.Webhook
	err := d.db.InTx(ctx, func(tx *gorm.DB) (err error) {
		row, err = end(tx)
		return err
	})
	if errs.Is(err, errs.NotFound) {
		return // deleted meanwhile
	}
	if err != nil {
		d.trouble(ctx, "disable", err)
		return
	}
	if row.Status != models.WebhookDisabled {
		return
	}
	d.log.WithField("business", key.BusinessID.String()).WithField("webhook", key.WebhookID.String()).
		WithField("reason", *row.DisabledReason).Warn("endpoint disabled")
	signal(d.events)
}
