package dispatch

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// An endpoint failed once, long ago, and has had nothing to do since. It is not
// disabled for that before its next answer is there, and that is a good one.
func TestAnEndpointThatIsWellAgainIsNotDisabled(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	asked, answer := make(chan struct{}), make(chan struct{})
	r.answer = func(http.ResponseWriter, *http.Request, string, int) { close(asked); <-answer }
	k.exec(`UPDATE webhook_lanes SET failing_since = now() - '6 days'::interval`)
	var d *Dispatcher
	k.start(func(started *Dispatcher) { d = started; d.client.timeout = time.Minute })
	k.events(business, 1)
	<-asked
	const dueAt = `SELECT (extract(epoch FROM due_at) * 1000000)::bigint FROM webhook_lanes`
	due := k.count(dueAt)
	signal(d.changed)
	k.eventually(10*time.Second, func() bool { return k.count(dueAt) != due }, "a heartbeat")
	close(answer)
	k.settled(10 * time.Second)
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL`) == 1 }, "released")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhooks WHERE status = 'active'`))
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE failing_since IS NULL`), "it starts anew")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`))
}

// Failures of five days are those of its answers: a delivery that could not be
// made because its event is gone is none of them.
func TestADeletedEventIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(business, nil)
	_, err := k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{Status: new(models.WebhookPaused)})
	require.NoError(t, err)
	k.start(nil)
	k.events(business, 20)
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_deliveries`) == 20 }, "fanned out")
	k.exec(`DELETE FROM webhook_events`)
	_, err = k.store.Update(k.db.Gorm, business, r.row.ID, webhook.Patch{Status: new(models.WebhookActive)})
	require.NoError(t, err)
	k.settled(5 * time.Second)
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL`) == 1 }, "released")
	require.Equal(t, 1, k.count(`SELECT count(*) FROM webhook_lanes WHERE failing_since IS NULL AND breaker_failures = 0`))
	require.Empty(t, r.received())
}
