package ledger

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// rendering is an object as the API shows it, for the answer and the event
// alike. It is encoded once, and not before the rows that do without it are on
// their way: PostgreSQL works on those meanwhile.
type rendering struct {
	// One of these makes bytes.
	transaction *wire.Transaction
	render      func() ([]byte, error)

	bytes []byte
}

// encodedSize is about what a transaction takes as JSON, in bytes.
const encodedSize = 768

func (r *rendering) encode() (err error) {
	switch {
	case r.bytes != nil:
	case r.transaction != nil:
		r.bytes, err = wire.AppendTransaction(make([]byte, 0, encodedSize), r.transaction)
	default:
		r.bytes, err = r.render()
	}
	return err
}

// rendered is the rendering of an object of package wire as it is now.
func rendered(object any) *rendering {
	return &rendering{render: func() ([]byte, error) { return wire.Marshal(object) }}
}

// reply is what an operation that was not refused is answered with.
type reply struct {
	// body is nil for an operation that nobody awaits an object of.
	body *rendering
	// replayed says that the operation had been done before under the same key.
	replayed bool
}

func (r reply) result() Result {
	if r.body == nil {
		return Result{}
	}
	return Result{Body: r.body.bytes, Replayed: r.replayed}
}

// event is a webhook event about an object.
type event struct {
	business models.BusinessID
	kind     models.EventType
	at       time.Time
	object   *rendering
	trace    *string // see outbox.TraceContext
}

// encode makes everything that is stored or answered as JSON. A panic in it, as
// one in judging, must not stop the commits of everybody else: the batch breaks,
// and is run again in parts until the operation at fault is alone.
func (b *book) encode(outcomes []outcome) (events []models.Event, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic while encoding an answer: %v\n%s", cause, debug.Stack())
		}
	}()
	events = make([]models.Event, len(b.events))
	for i, e := range b.events {
		if err := e.object.encode(); err != nil {
			return nil, fmt.Errorf("encoding the object of a %s event: %w", e.kind, err)
		}
		events[i] = wire.NewEncodedEvent(e.business, e.kind, e.at, e.object.bytes)
		events[i].TraceContext = e.trace
	}
	for i := range outcomes {
		if body := outcomes[i].reply.body; body != nil {
			if err := body.encode(); err != nil {
				return nil, fmt.Errorf("encoding an answer: %w", err)
			}
		}
	}
	return events, nil
}
