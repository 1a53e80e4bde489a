package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// verifies reports whether a receiver that knows only this secret takes the webhook.
func verifies(t *testing.T, secret string, r receipt) bool {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	return verifier.Verify(r.body, r.header) == nil
}

// The receiver sees three stages in this order, and in each of them whoever knows a
// secret that is live can verify everything.
func TestARotatedSecretSignsThroughItsGracePeriod(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	receiver := newEndpoint(t)
	dispatchFor(t, api)
	// One request at a time: receipts come in the order in which they were signed.
	id, old := createWebhook(t, api, receiver.URL, `,"max_concurrency":1`)
	until := func(signers ...string) {
		t.Helper()
		require.Eventually(t, func() bool {
			openAccount(t, api, 0)
			receipts := receiver.received()
			if len(receipts) == 0 {
				return false
			}
			last := receipts[len(receipts)-1]
			for _, secret := range signers {
				if !verifies(t, secret, last) {
					return false
				}
			}
			return true
		}, 20*time.Second, 10*time.Millisecond)
	}
	until(old)
	rotated := api.Do(t, "POST", "/v1/webhooks/"+id+"/rotate-secret", `{"grace_period_seconds":2}`).Require(t, http.StatusOK)
	fresh := rotated.String(t, "secret")
	require.NotEqual(t, old, fresh)
	require.Equal(t, id, rotated.String(t, "id"))
	until(old, fresh)
	require.Eventually(t, func() bool {
		openAccount(t, api, 0)
		receipts := receiver.received()
		return !verifies(t, old, receipts[len(receipts)-1])
	}, 20*time.Second, 10*time.Millisecond)

	const onlyOld, both, onlyNew = 1, 2, 3
	stage, counts := onlyOld, map[int]int{}
	for _, r := range receiver.received() {
		now := onlyOld
		switch byOld, byNew := verifies(t, old, r), verifies(t, fresh, r); {
		case byOld && byNew:
			now = both
		case byNew:
			now = onlyNew
		default:
			require.True(t, byOld, "somebody can verify everything that is sent")
		}
		require.GreaterOrEqual(t, now, stage, "no stage comes back")
		stage = now
		counts[now]++
	}
	require.NotZero(t, counts[onlyOld])
	require.NotZero(t, counts[both])
	require.NotZero(t, counts[onlyNew])
}

func TestRotatingASecretOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	id, secret := createWebhook(t, api, "https://example.com/", "")
	path := "/v1/webhooks/" + id + "/rotate-secret"

	key := apitest.IdempotencyKey("rotate-1")
	first := api.Do(t, "POST", path, nil, key).Require(t, http.StatusOK)
	require.Regexp(t, `^whsec_[A-Za-z0-9+/]{43}=$`, first.String(t, "secret"))
	require.NotEqual(t, secret, first.String(t, "secret"))
	again := api.Do(t, "POST", path, nil, key).Require(t, http.StatusOK)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.NotContains(t, string(again.Body), "whsec_", "a repetition is answered without the secret")
	require.Equal(t, id, again.String(t, "id"))
	api.Do(t, "POST", path, `{"grace_period_seconds":1}`, key).RequireProblem(t, http.StatusUnprocessableEntity, errs.IdempotencyKeyReused)

	previous := func() (n int) {
		require.NoError(t, api.DB.Pool.QueryRow(t.Context(), `SELECT count(*) FROM webhook_previous_secrets`).Scan(&n))
		return n
	}
	var hours float64
	require.NoError(t, api.DB.Pool.QueryRow(t.Context(),
		`SELECT extract(epoch FROM expires_at - now()) / 3600 FROM webhook_previous_secrets`).Scan(&hours))
	require.InDelta(t, 24, hours, 0.1, "a day unless the body says otherwise")
	for range 4 {
		api.Do(t, "POST", path, `{"grace_period_seconds":604800}`).Require(t, http.StatusOK)
	}
	require.Equal(t, 5, previous())
	api.Do(t, "POST", path, `{}`).RequireProblem(t, http.StatusUnprocessableEntity, errs.LimitExceeded)
	api.Do(t, "POST", path, `{"grace_period_seconds":0}`).Require(t, http.StatusOK)
	require.Zero(t, previous(), "without a grace period only the new secret signs")

	for body, code := range map[string]errs.Code{
		`{"grace_period_seconds":-1}`:                  errs.ValidationFailed,
		`{"grace_period_seconds":604801}`:              errs.ValidationFailed,
		`{"grace_period_seconds":9223372036854775807}`: errs.ValidationFailed,
		`{"grace_period_seconds":"1"}`:                 errs.InvalidRequest,
		`{"grace_period_seconds":1.5}`:                 errs.InvalidRequest,
		`{"grace":1}`:                                  errs.InvalidRequest,
	} {
		require.Equal(t, string(code), api.Do(t, "POST", path, body).String(t, "code"), body)
	}
	api.Do(t, "POST", path, nil, apitest.IdempotencyKey("")).RequireProblem(t, http.StatusBadRequest, errs.IdempotencyKeyMissing)
	api.Do(t, "POST", path, nil, apitest.Key(api.NewTenant(t).Key)).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	unknown := models.NewID[models.WebhookPrefix]().String()
	api.Do(t, "POST", "/v1/webhooks/"+unknown+"/rotate-secret", nil).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	require.NotContains(t, api.Log(), "whsec_")
	require.NotContains(t, string(api.Do(t, "GET", "/v1/webhooks/"+id, nil).Body), "secret")
}
