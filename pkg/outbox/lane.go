package outbox

import (
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// Lease is how long a lane belongs to a dispatcher after a claim or heartbeat,
// by the database's clock. It is also how long a crash delays its endpoints.
const Lease = 10 * time.Second

// failingLimit is how long an endpoint may only fail before it is disabled.
const failingLimit = 5 * 24 * time.Hour

// LaneKey names a lane: the endpoint that it leads to.
type LaneKey struct {
	BusinessID models.BusinessID
	WebhookID  models.WebhookID
}

// Lane is a leased lane with what is needed to send on it.
type Lane struct {
	LaneKey
	// Epoch tells this lease from all others of the lane.
	Epoch int64
	// ConfigVersion is the state of the endpoint that the fields below show.
	ConfigVersion int64
	// BreakerFailures is how many failures in a row earlier holders have seen.
	BreakerFailures int
	// BreakerResets counts how often the owner closed the breaker; a holder that
	// sees it change forgets its own count and any hold.
	BreakerResets int64
	// Blocked says that nothing may be sent: the endpoint is paused or its business
	// suspended, and who held the lane before has not given it back.
	Blocked bool
	// Failing says that the endpoint has not succeeded since some failure.
	Failing bool
	URL     string
	Headers models.Metadata
	Secret  []byte // encrypted
	// PreviousSecrets sign as well, until their grace period is over.
	PreviousSecrets []PreviousSecret
	Ordered         bool
	MaxConcurrency  int
	RateLimit       *int
}

// PreviousSecret is a rotated signing secret in its grace period.
type PreviousSecret struct {
	Ciphertext []byte
	// For is how long it signs yet, by the database's clock.
	For time.Duration
}

// Health is what a holder has learned about an endpoint since it last said.
type Health int16

// What can be learned. A success outweighs failures beside it.
const (
	HealthUnknown Health = iota
	HealthSuccess
	HealthFailure
)

// Tally counts attempts that a holder has not reported yet.
type Tally struct{ Attempts, Successes int }

// recentColumns adds the tally h to the lane l. All attempts behind the success
// rate together weigh 100 at most, a new one 1: roughly the last hundred count,
// at the cost of two numbers in an update that happens anyway.
const recentColumns = `recent_attempts = least(l.recent_attempts + h.attempts, 100),
    recent_successes = (l.recent_successes + h.successes) * least(1, 100 / nullif(l.recent_attempts + h.attempts, 0))`

// Dispatcher is the database side of one dispatcher process: its statements on
// outbox, lanes and deliveries. It is safe for concurrent use. Errors are coded.
type Dispatcher struct {
	pool  *pgxpool.Pool
	owner pgtype.UUID
}

// NewDispatcher returns a dispatcher with an identity of its own, under which it
// leases lanes.
func NewDispatcher(db *database.DB) *Dispatcher {
	d := &Dispatcher{pool: db.Pool, owner: pgtype.UUID{Valid: true}}
	_, _ = rand.Read(d.owner.Bytes[:]) // never fails since Go 1.24
	return d
}

// Owner is the dispatcher's identity as webhook_lanes.owner shows it.
func (d *Dispatcher) Owner() string { return d.owner.String() }

// laneKeys splits keys into the two arrays that statements take.
func laneKeys[T any](holds []T, key func(*T) LaneKey) (businesses []models.BusinessID, webhooks []models.WebhookID) {
	businesses, webhooks = make([]models.BusinessID, len(holds)), make([]models.WebhookID, len(holds))
	for i := range holds {
		k := key(&holds[i])
		businesses[i], webhooks[i] = k.BusinessID, k.WebhookID
	}
	return businesses, webhooks
}
