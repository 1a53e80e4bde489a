package dispatch

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/outbox"
	"github.com/txn-service/txn/pkg/webhook"
)

// A lane that is never idle keeps its target for days: secrets must drop out of it
// by themselves.
func TestATargetSignsWithAFormerSecretUntilItsGraceIsOver(t *testing.T) {
	t.Parallel()
	keyring, err := webhook.NewKeyring([][]byte{bytes.Repeat([]byte{7}, 32)})
	require.NoError(t, err)
	row := outbox.Lane{
		LaneKey: outbox.LaneKey{BusinessID: models.NewID[models.BusinessPrefix](), WebhookID: models.NewID[models.WebhookPrefix]()},
		URL:     "https://example.com/",
	}
	seal := func(secret string) []byte { return keyring.Seal(row.BusinessID, row.WebhookID, []byte(secret)) }
	row.Secret = seal("current")
	row.PreviousSecrets = []outbox.PreviousSecret{{Ciphertext: seal("older"), For: time.Hour}, {Ciphertext: seal("oldest"), For: time.Minute}}
	target, err := newTarget(&row, keyring, time.Now())
	require.NoError(t, err)
	for after, signatures := range map[time.Duration]int{0: 3, 30 * time.Second: 3, 2 * time.Minute: 2, 2 * time.Hour: 1} {
		header := target.signer.Sign(models.NewID[models.EventPrefix](), time.Now().Add(after), nil)
		require.Len(t, strings.Fields(header), signatures, after)
	}
	row.PreviousSecrets[0].Ciphertext = keyring.Seal(row.BusinessID, models.NewID[models.WebhookPrefix](), []byte("x"))
	_, err = newTarget(&row, keyring, time.Now())
	require.Error(t, err, "nothing is sent that a receiver may not be able to verify")
}
