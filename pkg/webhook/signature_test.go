package webhook_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

func TestSignatureIsStandardWebhooks(t *testing.T) {
	t.Parallel()
	current, previous, stranger := []byte("current-secret-of-24-bytes!"), []byte("previous-secret-of-24-bytes"), []byte("never-signed-with-this-one!!")
	expired := []byte("an-expired-secret-of-24-byte")
	id, now, body := models.NewID[models.EventPrefix](), time.Now(), []byte(`{"type":"transaction.created"}`)
	signer := webhook.NewSigner(webhook.Secret{Bytes: current}, webhook.Secret{Bytes: expired, Until: now},
		webhook.Secret{Bytes: previous, Until: now.Add(time.Second)})
	for range 3 { // a reused HMAC must start afresh
		header := http.Header{}
		header.Set(webhook.HeaderID, id.String())
		header.Set(webhook.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
		header.Set(webhook.HeaderSignature, signer.Sign(id, now, body))
		for _, secret := range [][]byte{current, previous} {
			verifier, err := standardwebhooks.NewWebhook(webhook.FormatSecret(secret))
			require.NoError(t, err)
			require.NoError(t, verifier.Verify(body, header))
			require.Error(t, verifier.Verify(append([]byte(" "), body...), header))
		}
		for _, secret := range [][]byte{stranger, expired} {
			verifier, err := standardwebhooks.NewWebhook(webhook.FormatSecret(secret))
			require.NoError(t, err)
			require.Error(t, verifier.Verify(body, header))
		}
		require.Len(t, strings.Fields(header.Get(webhook.HeaderSignature)), 2)
	}
	require.Len(t, strings.Fields(signer.Sign(id, now.Add(time.Second), body)), 1, "grace periods end by themselves")
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	business, id, secret := models.NewID[models.BusinessPrefix](), models.NewID[models.WebhookPrefix](), []byte("the secret")
	old := newKeyring(t, 1)
	sealed := old.Seal(business, id, secret)
	rotated := newKeyring(t, 2, 1)
	opened, err := rotated.Open(business, id, sealed)
	require.NoError(t, err)
	require.Equal(t, secret, opened)
	require.True(t, old.Current(sealed))
	require.False(t, rotated.Current(sealed))
	require.True(t, rotated.Current(rotated.Seal(business, id, secret)))

	_, err = newKeyring(t, 3).Open(business, id, sealed)
	require.ErrorIs(t, err, webhook.ErrNoKey)
	_, err = old.Open(models.NewID[models.BusinessPrefix](), id, sealed)
	require.Error(t, err, "bound to the business")
	_, err = old.Open(business, models.NewID[models.WebhookPrefix](), sealed)
	require.Error(t, err, "bound to the endpoint")
	sealed[len(sealed)-1] ^= 1
	_, err = old.Open(business, id, sealed)
	require.Error(t, err)
	_, err = old.Open(business, id, []byte{1})
	require.Error(t, err)
	_, err = webhook.NewKeyring(nil)
	require.Error(t, err)
	_, err = webhook.NewKeyring([][]byte{make([]byte, 16)})
	require.Error(t, err)
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	schedule := webhook.Schedule{5 * time.Second, time.Minute}
	for _, test := range []struct {
		attempt int
		jitter  float64
		want    time.Duration
		retried bool
	}{
		{0, 0, 0, false}, {1, 0, 5 * time.Second, true}, {1, 0.5, 5500 * time.Millisecond, true},
		{2, 0.999999, 71999988 * time.Microsecond, true}, {3, 0, 0, false},
	} {
		wait, retried := schedule.Wait(test.attempt, test.jitter)
		require.Equal(t, test.retried, retried)
		require.InDelta(t, test.want, wait, float64(time.Millisecond))
	}
	require.Equal(t, 78*time.Second, schedule.Total())
	require.Equal(t, time.Minute, schedule.Last())
	require.Zero(t, webhook.Schedule(nil).Last())
	_, retried := webhook.Schedule(nil).Wait(1, 0)
	require.False(t, retried)
}
