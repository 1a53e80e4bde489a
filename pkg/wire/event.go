package wire

import (
	"fmt"
	"time"

	"github.com/txn-service/txn/pkg/models"
)

// Event is the body of a webhook: what happened, and the object as the API
// shows it.
type Event struct {
	ID         models.EventID    `json:"id"`
	Type       models.EventType  `json:"type"`
	CreatedAt  Time              `json:"created_at"`
	BusinessID models.BusinessID `json:"business_id"`
	Data       any               `json:"data"`
}

// NewEvent builds the event row for an object of this package.
func NewEvent(business models.BusinessID, kind models.EventType, at time.Time, object any) (models.Event, error) {
	id := models.NewIDAt[models.EventPrefix](at)
	body, err := Marshal(Event{ID: id, Type: kind, CreatedAt: Time(at), BusinessID: business, Data: object})
	if err != nil {
		return models.Event{}, fmt.Errorf("encoding a %s event: %w", kind, err)
	}
	return models.Event{BusinessID: business, ID: id, Type: kind, Body: body, CreatedAt: at}, nil
}
