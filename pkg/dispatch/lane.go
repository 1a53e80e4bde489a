package dispatch

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// job is one delivery in hand.
type job struct {
	lane    *lane
	key     outbox.LaneKey
	due     outbox.Due
	message outbox.Message
	// resets is the lane's BreakerResets when the job was sent.
	resets int64
	// ordered says that the next delivery waits until this one is completed.
	ordered bool
}

// target is an endpoint ready to be sent to. It never changes: a lane whose
// endpoint was changed gets another.
type target struct {
	// address is the URL as the endpoint's row has it.
	address string
	url     *url.URL
	header  http.Header
	signer  *webhook.Signer
}

func newTarget(row *outbox.Lane, keyring *webhook.Keyring, now time.Time) (*target, error) {
	address, err := url.Parse(row.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the URL of %s: %w", row.WebhookID, err)
	}
	secrets, err := openSecrets(row, keyring, now)
	if err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", row.WebhookID, err)
	}
	header := make(http.Header, len(row.Headers)+5)
	for name, value := range row.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", userAgent)
	return &target{address: row.URL, url: address, header: header, signer: webhook.NewSigner(secrets...)}, nil
}

// openSecrets decrypts what signs for the endpoint. Grace periods end by
// themselves: a busy lane may be held for days without being read again.
func openSecrets(row *outbox.Lane, keyring *webhook.Keyring, now time.Time) ([]webhook.Secret, error) {
	current, err := keyring.Open(row.BusinessID, row.WebhookID, row.Secret)
	if err != nil {
		return nil, err
	}
	secrets := []webhook.Secret{{Bytes: current}}
	for _, previous := range row.PreviousSecrets {
		secret, err := keyring.Open(row.BusinessID, row.WebhookID, previous.Ciphertext)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, webhook.Secret{Bytes: secret, Until: now.Add(previous.For)})
	}
	return secrets, nil
}

// lane is a held lane. All fields belong to the scheduler's lock.
type lane struct {
	outbox.Lane
	target  *target
	tenant  *tenant
	breaker breaker
	health  outbox.Health
	tally   outbox.Tally

	queue    []job
	inFlight int
	// inHand are the deliveries from fetch to confirmed completion: still pending
	// in the database, not to be sent again.
	inHand map[models.DeliveryID]struct{}
	// settled were completed while a fetch was under way that may still show them.
	settled []models.DeliveryID

	// hungry says that there may be work that has not been fetched.
	hungry   bool
	fetching bool
	touches  int64
	idleFrom time.Time
	since    time.Time // when the process took it

	// trusted is until when the lease is certain, on the local clock.
	trusted time.Time
	// closing lanes send nothing more and are released once nothing is in hand,
	// blocked until hold; lost ones belong to someone else.
	closing, lost bool
	hold          time.Time
	// blocked says that it closes for nothing but the endpoint being paused or its
	// business suspended.
	blocked   bool
	releasing bool // the statement is under way
	// expire says that the breaker's probe failed: what is too old ends.
	expire, expiring bool
	// given lanes close so that another dispatcher can have them.
	given bool

	listed   bool // in its tenant's list of lanes with work
	parked   bool // waits for its rate limit
	nextSend time.Time
	slow     bool
	average  time.Duration
}

// slowAbove is the average latency above which a lane shares a quarter of the
// slots with all other slow ones.
const slowAbove = 2 * time.Second

// adopt takes the endpoint's present state over. When its owner has lifted what
// blocked it, what was learned before counts no more.
func (l *lane) adopt(row outbox.Lane, t *target) {
	if l.BreakerResets != row.BreakerResets {
		l.breaker.succeed()
		l.hold = time.Time{}
	}
	l.Lane, l.target = row, t
}

// capacity is how many requests the lane may have in flight.
func (l *lane) capacity() int {
	if l.Ordered || l.breaker.probing() {
		return 1
	}
	return l.MaxConcurrency
}

// quantum is how many deliveries a fetch asks for beyond those in hand.
func (l *lane) quantum() int {
	if l.breaker.probing() {
		return 1
	}
	return max(32, min(2*l.MaxConcurrency, 1024))
}

// runnable reports whether the next delivery may be sent now but for the rate
// limit.
func (l *lane) runnable(now time.Time) bool {
	return len(l.queue) > 0 && !l.closing && !l.lost && l.inFlight < l.capacity() && now.Before(l.trusted)
}

// drop forgets what was fetched and not sent: it is still pending.
func (l *lane) drop() {
	for _, j := range l.queue {
		delete(l.inHand, j.due.ID)
	}
	l.queue = nil
}

// close ends sending; the lane stays blocked for the time given.
func (l *lane) close(hold time.Duration) {
	l.closing = true
	if until := time.Now().Add(hold); until.After(l.hold) {
		l.hold = until
	}
	l.drop()
}

// block ends sending for as long as the endpoint is paused.
func (l *lane) block() {
	l.blocked = l.blocked || !l.closing
	l.close(0)
}

// unblock goes on with a lane that was resumed before it was given back, whatever
// it has in flight, unless something else has closed it meanwhile.
func (l *lane) unblock() bool {
	l.blocked = false
	now := time.Now()
	if l.hold.After(now) {
		return false
	}
	l.closing, l.hungry, l.idleFrom = false, true, now
	return true
}

// busy reports that the lane has work and will go on with it.
func (l *lane) busy() bool {
	return !l.closing && !l.lost && (l.inFlight > 0 || len(l.queue) > 0 || l.hungry)
}

// quiet reports that nothing is in flight or waits to be completed.
func (l *lane) quiet() bool { return l.inFlight == 0 && len(l.inHand) == 0 && !l.fetching }

// observe keeps the average latency, the newest answer counting an eighth.
func (l *lane) observe(latency time.Duration) {
	l.average += (latency - l.average) / 8
	l.slow = l.average > slowAbove
}

// pace returns how long to wait for the rate limit, and takes a place when it is
// nothing. A twentieth of a second's requests may go at once.
func (l *lane) pace(now time.Time) time.Duration {
	if l.RateLimit == nil {
		return 0
	}
	interval := time.Second / time.Duration(*l.RateLimit)
	burst := max(interval, time.Second/20)
	if l.nextSend.Before(now) {
		l.nextSend = now
	}
	if wait := l.nextSend.Sub(now) - burst + interval; wait > 0 {
		return wait
	}
	l.nextSend = l.nextSend.Add(interval)
	return 0
}
