package dev

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func startTestReceiver(t *testing.T, state *state) *stack {
	t.Helper()
	d := &stack{Options: Options{Progress: &transcript{}}, state: state}
	require.NoError(t, d.startReceiver(t.Context()))
	t.Cleanup(func() { require.NoError(t, d.stop(context.Background())) })
	return d
}

// transcript is what somebody at the terminal would have read.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// send delivers an event the way the dispatcher does.
func send(t *testing.T, url, secret, id string, at time.Time, body string) int {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	signature, err := signer.Sign(id, at, []byte(body))
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	request.Header.Set("webhook-id", id)
	request.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	request.Header.Set("webhook-signature", signature)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	return response.StatusCode
}

func event(id string) string {
	return fmt.Sprintf(`{"type":"transaction.created","data":{"id":%q}}`, id)
}

func TestReceiverVerifies(t *testing.T) {
	t.Parallel()
	d := startTestReceiver(t, &state{})
	r, now := d.receiver, time.Now()
	require.Equal(t, http.StatusServiceUnavailable, send(t, r.url, secret, "evt_0", now, event("txn_0")), "no secret yet")
	r.trust(secret)

	other := "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	require.Equal(t, http.StatusUnauthorized, send(t, r.url, other, "evt_1", now, event("txn_1")))
	require.Equal(t, http.StatusUnauthorized, send(t, r.url, secret, "evt_1", now.Add(-time.Hour), event("txn_1")), "a replay")
	require.Equal(t, http.StatusNoContent, send(t, r.url, secret, "evt_2", now, event("txn_2")))
	require.Equal(t, http.StatusNoContent, send(t, r.url, secret, "evt_3", now, event("txn_3")))

	got, err := r.await(t.Context(), "transaction.created", "txn_3")
	require.NoError(t, err)
	require.Equal(t, "evt_3", got.id)
	require.NotEmpty(t, got.signature)
	require.JSONEq(t, event("txn_3"), string(got.body))
	said := fmt.Sprint(d.Progress)
	require.Contains(t, said, "REFUSED")
	require.Contains(t, said, "verified: transaction.created evt_2 (txn_2)")
}

func TestReceiverGivesUpWaiting(t *testing.T) {
	t.Parallel()
	d := startTestReceiver(t, &state{WebhookSecret: secret})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.receiver.await(ctx, "transaction.created", "txn_1")
	require.ErrorIs(t, err, context.Canceled)
}

func TestReceiverKeepsItsAddress(t *testing.T) {
	t.Parallel()
	first := &stack{Options: Options{Progress: io.Discard}, state: &state{}}
	require.NoError(t, first.startReceiver(t.Context()))
	require.NoError(t, first.stop(t.Context()))
	second := startTestReceiver(t, &state{WebhookURL: first.receiver.url, WebhookSecret: secret})
	require.Equal(t, first.receiver.url, second.receiver.url)
	third := startTestReceiver(t, &state{WebhookURL: first.receiver.url})
	require.NotEqual(t, first.receiver.url, third.receiver.url, "the port is taken")
}
