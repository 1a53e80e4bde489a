package client_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/client"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// secret returns a signing secret as its owner sees it, and as the dispatcher does.
func secret(b byte) (text string, bytesOf webhook.Secret) {
	raw := bytes.Repeat([]byte{b}, 32)
	return webhook.FormatSecret(raw), webhook.Secret{Bytes: raw}
}

// sent is a webhook as the dispatcher sends it.
func sent(at time.Time, body string, secrets ...webhook.Secret) http.Header {
	id := models.NewID[models.EventPrefix]()
	header := http.Header{}
	header.Set(webhook.HeaderID, id.String())
	header.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(webhook.HeaderSignature, webhook.NewSigner(secrets...).Sign(id, at, []byte(body)))
	return header
}

const holdVoided = `{"id":"evt_1","type":"hold.voided","created_at":"2026-01-31T12:08:20.364917Z","business_id":"biz_1",` +
	`"data":{"id":"hold_1","amount":1500,"status":"voided"}}`

func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	mine, signing := secret(1)
	former, formerSigning := secret(2)
	now := time.Now()
	header := sent(now, holdVoided, signing)
	event, err := client.VerifyWebhook(header, []byte(holdVoided), mine)
	require.NoError(t, err)
	require.Equal(t, client.EventTypeHoldVoided, event.Type)
	require.Equal(t, &client.Hold{ID: "hold_1", Amount: 1500, Status: client.HoldStatusVoided}, event.Data)

	// While the secret is changed, either side may have the newer one.
	for _, secrets := range [][]string{{mine}, {former}, {former, mine}, {mine, former}} {
		_, err = client.VerifyWebhook(sent(now, holdVoided, signing, formerSigning), []byte(holdVoided), secrets...)
		require.NoError(t, err)
	}
	_, err = client.VerifyWebhook(header, []byte(holdVoided), former, mine)
	require.NoError(t, err)

	unsigned := header.Clone()
	unsigned.Del("webhook-signature")
	renamed := header.Clone()
	renamed.Set("webhook-id", "evt_other")
	for name, c := range map[string]struct {
		header http.Header
		body   string
		secret string
	}{
		"another secret":   {header, holdVoided, former},
		"another body":     {header, strings.Replace(holdVoided, "1500", "1501", 1), mine},
		"another id":       {renamed, holdVoided, mine},
		"no signature":     {unsigned, holdVoided, mine},
		"six minutes old":  {sent(now.Add(-6*time.Minute), holdVoided, signing), holdVoided, mine},
		"from the future":  {sent(now.Add(6*time.Minute), holdVoided, signing), holdVoided, mine},
		"an empty request": {http.Header{}, "", mine},
	} {
		_, err := client.VerifyWebhook(c.header, []byte(c.body), c.secret)
		require.ErrorIs(t, err, client.ErrBadSignature, name)
	}
}

// TestSecretsThatAreNone: a program that lost its secret must not accept everything.
func TestSecretsThatAreNone(t *testing.T) {
	t.Parallel()
	mine, signing := secret(1)
	everybodys := sent(time.Now(), holdVoided, webhook.Secret{})
	for _, secrets := range [][]string{{}, {""}, {"whsec_"}, {mine, ""}} {
		_, err := client.VerifyWebhook(everybodys, []byte(holdVoided), secrets...)
		require.Error(t, err)
		require.NotErrorIs(t, err, client.ErrBadSignature, "it is the program that is wrong")
	}
	_, err := client.VerifyWebhook(sent(time.Now(), holdVoided, signing), []byte(holdVoided), "whsec_*s3cret*")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
}

func TestReadWebhook(t *testing.T) {
	t.Parallel()
	mine, signing := secret(1)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks", strings.NewReader(holdVoided))
	request.Header = sent(time.Now(), holdVoided, signing)
	event, err := client.ReadWebhook(request, mine)
	require.NoError(t, err)
	require.Equal(t, "evt_1", event.ID)

	long := strings.Repeat(" ", 1<<20) + holdVoided
	request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks", strings.NewReader(long))
	request.Header = sent(time.Now(), long, signing)
	_, err = client.ReadWebhook(request, mine)
	require.ErrorContains(t, err, "too large")
}

// TestEventsOfANewerService: a type that is not known yet brings its JSON.
func TestEventsOfANewerService(t *testing.T) {
	t.Parallel()
	text := `{"id":"evt_1","type":"invoice.paid","created_at":"2026-01-31T12:00:00Z","business_id":"biz_1","data":{"total":5}}`
	var event client.Event
	require.NoError(t, json.Unmarshal([]byte(text), &event))
	require.JSONEq(t, `{"total":5}`, string(event.Data.(client.UnknownData).RawMessage))
	again, err := json.Marshal(event)
	require.NoError(t, err)
	require.JSONEq(t, text, string(again))
	require.NoError(t, json.Unmarshal([]byte(`{"type":"account.merged","data":{"id":"acct_1"}}`), &event))
	require.Equal(t, "acct_1", event.Data.(*client.Account).ID)
	require.Error(t, json.Unmarshal([]byte(`{"type":"account.created","data":[]}`), &event))
}
