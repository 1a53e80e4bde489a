package dispatch

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/webhook"
)

// An answer that is no answer, in characters that are cut in the middle, is an
// attempt like any other.
func TestWhateverAStrangerSaysIsLogged(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	r := k.receiver(k.business(), nil)
	for _, said := range []string{strings.Repeat("ä", 1000), "x" + strings.Repeat("ä", 1000), "HTTP/1.1 500 \xff\x00" + strings.Repeat("€", 2000)} {
		target := raw(t, func(c net.Conn) { _, _ = io.WriteString(c, said+"\r\n\r\n\x00\xff") })
		r.register(business, func(f *webhook.Fields) { f.URL = target })
	}
	k.start(nil)
	k.events(business, 1)
	k.settled(10 * time.Second)
	require.Equal(t, 3, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'failed' AND attempt_count = 3`))
	require.Equal(t, 9, k.count(`SELECT count(*) FROM webhook_attempts`))
	require.NotContains(t, k.logs.String(), "refused by the database")
}

// An outcome that the database never takes leaves its delivery pending. Its
// endpoint rests instead of getting it over and over; the others' outcomes of the
// same batch are taken.
func TestAnOutcomeThatIsRefusedIsNoLoop(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	business := k.business()
	k.exec(`ALTER TABLE webhook_attempts ADD CHECK (status_code <> 299)`)
	poison, fine := k.receiver(business, nil), k.receiver(business, nil)
	poison.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { w.WriteHeader(299) }
	k.start(nil)
	k.events(business, 5)
	k.eventually(10*time.Second, func() bool {
		return k.count(`SELECT count(*) FROM webhook_lanes WHERE owner IS NULL AND blocked_until > now() + '50 s'`) == 1
	}, "the lane rests")
	k.eventually(5*time.Second, func() bool { return k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'`) == 5 }, "the other")
	require.Equal(t, 5, k.count(`SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND attempt_count = 0`))
	require.Len(t, poison.received(), 5, "once each")
	require.Equal(t, 5, fine.distinct())
	require.Contains(t, k.logs.String(), "refused by the database")
}
