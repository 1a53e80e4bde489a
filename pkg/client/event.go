package client

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"
)

// Event is what happened, with the object as it was right after it.
type Event struct {
	ID         string    `json:"id"`
	Type       EventType `json:"type"`
	CreatedAt  time.Time `json:"created_at"`
	BusinessID string    `json:"business_id"`
	// Data is an *Account, *Transaction, *Hold or *Webhook, as Type says, and UnknownData
	// when this release of the client does not know what Type is about.
	Data EventData `json:"data"`
}

// EventData is what an event is about.
type EventData interface{ eventData() }

func (*Account) eventData()     {}
func (*Transaction) eventData() {}
func (*Hold) eventData()        {}
func (*Webhook) eventData()     {}
func (UnknownData) eventData()  {}

// UnknownData is the JSON that an event of a newer service brings.
type UnknownData struct{ json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (e *Event) UnmarshalJSON(text []byte) error {
	type plain Event // without this method
	read := struct {
		*plain
		Data json.RawMessage `json:"data"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	noun, _, _ := strings.Cut(string(e.Type), ".")
	switch noun {
	case "account":
		return decodeData[Account](e, read.Data)
	case "transaction":
		return decodeData[Transaction](e, read.Data)
	case "hold":
		return decodeData[Hold](e, read.Data)
	case "webhook":
		return decodeData[Webhook](e, read.Data)
	default:
		e.Data = UnknownData{read.Data}
		return nil
	}
}

func decodeData[T any, P interface {
	*T
	EventData
}](e *Event, text json.RawMessage) error {
	data := P(new(T))
	e.Data = data
	return json.Unmarshal(text, data)
}

// EventService reads what happened, as it is sent to endpoints. Events are written with
// the change itself, whether or not an endpoint listens, and kept for 30 days unless the
// operator says otherwise. It needs the scope webhooks:read, and webhooks:write to
// replay.
type EventService struct{ c *Client }

// Get returns an event; CodeNotFound without one.
func (s *EventService) Get(ctx context.Context, id string, options ...CallOption) (*Event, error) {
	return do[Event](ctx, s.c, getEvent(id), nil, options)
}

// List returns a page of events, newest first.
func (s *EventService) List(ctx context.Context, params ListEventsParams, options ...CallOption) (*Page[Event], error) {
	return do[Page[Event]](ctx, s.c, listEvents(params), nil, options)
}

// All ranges over all events, newest first.
func (s *EventService) All(ctx context.Context, params ListEventsParams, options ...CallOption) iter.Seq2[Event, error] {
	return all[Event](ctx, s.c, listEvents(params), options)
}

// Replay sends an event once more: to the endpoint of the replay, or to every one that
// subscribes to it or had it. Disabled endpoints are left out; CodeInvalidState when
// the one that is named is.
func (s *EventService) Replay(ctx context.Context, id string, replay NewEventReplay, options ...CallOption) (*Replay, error) {
	return do[Replay](ctx, s.c, replayEvent(id), replay, options)
}

// PreviewReplay says what Replay would do, and does nothing.
func (s *EventService) PreviewReplay(ctx context.Context, id string, replay NewEventReplay, options ...CallOption) (*ReplayPreview, error) {
	return do[ReplayPreview](ctx, s.c, replayEvent(id).dryRun(), replay, options)
}
