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
	encoded, err := Marshal(object)
	if err != nil {
		return models.Event{}, fmt.Errorf("encoding the object of a %s event: %w", kind, err)
	}
	return NewEncodedEvent(business, kind, at, encoded), nil
}

// NewEncodedEvent is NewEvent for an object that has been encoded already, as
// the ledger does for its answer: the envelope is written around it, because
// encoding every object twice would show at full load. Nothing in the envelope
// needs escaping.
func NewEncodedEvent(business models.BusinessID, kind models.EventType, at time.Time, object []byte) models.Event {
	id := models.NewIDAt[models.EventPrefix](at)
	body := make([]byte, 0, len(object)+192)
	body = append(body, `{"id":"`...)
	body, _ = id.AppendText(body)
	body = append(body, `","type":"`...)
	body = append(body, kind...)
	body = append(body, `","created_at":"`...)
	body, _ = Time(at).AppendText(body)
	body = append(body, `","business_id":"`...)
	body, _ = business.AppendText(body)
	body = append(body, `","data":`...)
	body = append(body, object...)
	body = append(body, '}')
	return models.Event{BusinessID: business, ID: id, Type: kind, Body: body, CreatedAt: at}
}
