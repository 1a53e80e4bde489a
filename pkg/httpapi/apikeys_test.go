package httpapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// manager calls with a key that may do everything.
func manager(t *testing.T, api *apitest.API) apitest.Option {
	t.Helper()
	return apitest.Key(api.IssueKey(t, api.Business, apikey.AllScopes()...))
}

// works reports whether a key opens the API.
func works(t *testing.T, api *apitest.API, key string) bool {
	t.Helper()
	res := api.Do(t, "GET", "/v1/business", nil, apitest.Key(key))
	if res.Status != http.StatusOK {
		res.RequireProblem(t, http.StatusUnauthorized, errs.Unauthenticated)
	}
	return res.Status == http.StatusOK
}

func TestKeysOverHTTP(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	end := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	body := fmt.Sprintf(`{"name":"reports","scopes":["transactions:read","accounts:read"],"expires_at":%q}`, end)
	once := apitest.IdempotencyKey("issue-1")
	issued := api.Do(t, "POST", "/v1/api-keys", body, by, once).Require(t, http.StatusCreated)
	key, id := issued.String(t, "key"), issued.String(t, "id")
	require.Regexp(t, `^txn_[0-9A-Za-z]{38}$`, key)
	require.Regexp(t, `^key_`, id)
	object := issued.JSON(t)
	require.Equal(t, "reports", object["name"])
	require.Equal(t, key[:8], object["prefix"])
	require.Equal(t, []any{"accounts:read", "transactions:read"}, object["scopes"])
	require.Equal(t, strings.TrimSuffix(end, "Z")+".000000Z", object["expires_at"])
	require.Contains(t, object, "last_used_at")
	require.Contains(t, object, "revoked_at")
	require.True(t, works(t, api, key))
	api.Do(t, "GET", "/v1/accounts", nil, apitest.Key(key)).Require(t, http.StatusOK)
	api.Do(t, "POST", "/v1/accounts", `{"name":"x"}`, apitest.Key(key)).RequireProblem(t, http.StatusForbidden, errs.InsufficientScope)

	again := api.Do(t, "POST", "/v1/api-keys", body, by, once).Require(t, http.StatusCreated)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, id, again.String(t, "id"))
	require.NotContains(t, again.JSON(t), "key", "a repetition is answered without the key")

	shown := api.Do(t, "GET", "/v1/api-keys/"+id, nil, by).Require(t, http.StatusOK).JSON(t)
	delete(object, "key")
	require.Equal(t, object, shown)
	byDefault := api.Do(t, "POST", "/v1/api-keys", `{"name":"ci"}`, by).Require(t, http.StatusCreated).JSON(t)
	require.Len(t, byDefault["scopes"], 6)
	require.NotContains(t, byDefault["scopes"], "keys:manage")
	require.Nil(t, byDefault["expires_at"])

	for range 2 {
		api.Do(t, "DELETE", "/v1/api-keys/"+id, nil, by).Require(t, http.StatusNoContent)
	}
	revoked := time.Now()
	require.Eventually(t, func() bool { return !works(t, api, key) }, 5*time.Second, 10*time.Millisecond)
	require.Less(t, time.Since(revoked), 1300*time.Millisecond)
	require.NotNil(t, api.Do(t, "GET", "/v1/api-keys/"+id, nil, by).JSON(t)["revoked_at"])
	require.NotContains(t, api.Log(), key)
	require.NotContains(t, string(api.Do(t, "GET", "/v1/api-keys", nil, by).Body), `"key"`)
}

func TestKeysAreListedInPages(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	var want []string
	for i := range 5 {
		want = append(want, api.Do(t, "POST", "/v1/api-keys", fmt.Sprintf(`{"name":"k%d"}`, i), by).Require(t, http.StatusCreated).String(t, "id"))
	}
	slices.Reverse(want)
	var got []string
	for cursor, more := "", true; more; {
		page := api.Do(t, "GET", "/v1/api-keys?limit=2"+cursor, nil, by).Require(t, http.StatusOK).JSON(t)
		for _, item := range page["data"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		if more = page["has_more"].(bool); more {
			cursor = fmt.Sprintf("&cursor=%s", page["next_cursor"])
		}
	}
	require.Equal(t, want, got[:5], "newest first, the kit's keys last")
	require.Len(t, got, 7)
	whole := api.Do(t, "GET", "/v1/api-keys?limit=200", nil, by).Require(t, http.StatusOK).JSON(t)
	require.Equal(t, false, whole["has_more"])
	require.Nil(t, whole["next_cursor"])
	api.Do(t, "GET", "/v1/api-keys?limit=201", nil, by).RequireProblem(t, http.StatusBadRequest, errs.InvalidRequest)
}

func TestKeysOfAnotherBusinessDoNotExist(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	stranger := api.NewTenant(t)
	foreign := api.IssueKey(t, stranger.Business, apikey.AllScopes()...)
	listed := api.Do(t, "GET", "/v1/api-keys", nil, apitest.Key(foreign)).JSON(t)["data"].([]any)
	for _, item := range listed {
		id := item.(map[string]any)["id"].(string)
		for _, call := range [][2]string{{"GET", ""}, {"POST", "/rotate"}, {"DELETE", ""}} {
			api.Do(t, call[0], "/v1/api-keys/"+id+call[1], nil, by).RequireProblem(t, http.StatusNotFound, errs.NotFound)
		}
	}
	for _, id := range []string{
		models.NewID[models.APIKeyPrefix]().String(), models.APIKeyID{}.String(), models.NewID[models.AccountPrefix]().String(), "x",
	} {
		for _, call := range [][2]string{{"GET", ""}, {"POST", "/rotate"}, {"DELETE", ""}} {
			api.Do(t, call[0], "/v1/api-keys/"+id+call[1], nil, by).RequireProblem(t, http.StatusNotFound, errs.NotFound)
		}
	}
	require.True(t, works(t, api, foreign))
	require.Len(t, listed, 2)
	for _, call := range [][2]string{{"GET", "/v1/api-keys"}, {"POST", "/v1/api-keys"}, {"GET", "/v1/api-keys/" + models.NewID[models.APIKeyPrefix]().String()}} {
		api.Do(t, call[0], call[1], nil).RequireProblem(t, http.StatusForbidden, errs.InsufficientScope)
	}
}

// An administrator's key need not be able to do what the keys that it issues do.
func TestAManagerGivesAnyScope(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	narrow := apitest.Key(api.IssueKey(t, api.Business, apikey.KeysManage))
	for _, body := range []string{`{"name":"x"}`, `{"name":"x","scopes":["accounts:read","keys:manage"]}`} {
		issued := api.Do(t, "POST", "/v1/api-keys", body, narrow).Require(t, http.StatusCreated)
		api.Do(t, "GET", "/v1/accounts", nil, apitest.Key(issued.String(t, "key"))).Require(t, http.StatusOK)
		api.Do(t, "POST", "/v1/api-keys/"+issued.String(t, "id")+"/rotate", nil, narrow).Require(t, http.StatusOK)
	}
	api.Do(t, "GET", "/v1/accounts", nil, narrow).RequireProblem(t, http.StatusForbidden, errs.InsufficientScope)
}

func TestBothKeysWorkInTheGracePeriod(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	issue := func(more string) (id, key string) {
		res := api.Do(t, "POST", "/v1/api-keys", `{"name":"ci"`+more+`}`, by).Require(t, http.StatusCreated)
		return res.String(t, "id"), res.String(t, "key")
	}
	expiry := func(id string) time.Time {
		at, err := time.Parse(time.RFC3339, api.Do(t, "GET", "/v1/api-keys/"+id, nil, by).String(t, "expires_at"))
		require.NoError(t, err)
		return at
	}
	id, old := issue("")
	once := apitest.IdempotencyKey("rotate-1")
	began := time.Now()
	rotated := api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", `{"grace_period_seconds":2}`, by, once).Require(t, http.StatusOK)
	fresh := rotated.String(t, "key")
	require.NotEqual(t, id, rotated.String(t, "id"))
	require.Equal(t, "ci", rotated.String(t, "name"))
	require.True(t, works(t, api, old), "in the grace period both work")
	require.True(t, works(t, api, fresh))
	again := api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", `{"grace_period_seconds":2}`, by, once).Require(t, http.StatusOK)
	require.NotContains(t, string(again.Body), `"key"`)
	require.Equal(t, rotated.String(t, "id"), again.String(t, "id"))
	require.Eventually(t, func() bool { return !works(t, api, old) }, 10*time.Second, 20*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(began), 1900*time.Millisecond)
	require.True(t, works(t, api, fresh))
	api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", nil, by).RequireProblem(t, http.StatusConflict, errs.InvalidState)

	id, old = issue("")
	api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", `{"grace_period_seconds":0}`, by).Require(t, http.StatusOK)
	require.Eventually(t, func() bool { return !works(t, api, old) }, 1300*time.Millisecond, 10*time.Millisecond, "0 ends it at once")

	id, _ = issue("")
	api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", nil, by).Require(t, http.StatusOK)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), expiry(id), time.Minute, "a day unless the body says otherwise")

	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	id, _ = issue(`,"expires_at":"` + soon.Format(time.RFC3339) + `"`)
	rotated = api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", `{}`, by).Require(t, http.StatusOK)
	require.Equal(t, soon, expiry(id), "never later than its own expiry")
	require.Equal(t, soon, expiry(rotated.String(t, "id")))

	id, _ = issue("")
	api.Do(t, "DELETE", "/v1/api-keys/"+id, nil, by).Require(t, http.StatusNoContent)
	api.Do(t, "POST", "/v1/api-keys/"+id+"/rotate", nil, by).RequireProblem(t, http.StatusConflict, errs.InvalidState)
}

func TestKeyErrors(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	id := api.Do(t, "POST", "/v1/api-keys", `{"name":"ci"}`, by).String(t, "id")
	rotate := "/v1/api-keys/" + id + "/rotate"
	for _, test := range []struct {
		path, body string
		code       errs.Code
	}{
		{"/v1/api-keys", `{}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":""}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"a\nb"}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"` + strings.Repeat("x", models.MaxName+1) + `"}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"x","scopes":[]}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"x","scopes":["money:print"]}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"x","scopes":[null]}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"x","scopes":"accounts:read"}`, errs.InvalidRequest},
		{"/v1/api-keys", `{"name":"x","expires_at":"2001-01-01T00:00:00Z"}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"x","expires_at":"tomorrow"}`, errs.ValidationFailed},
		{"/v1/api-keys", `{"name":"x","expires_at":1}`, errs.InvalidRequest},
		{"/v1/api-keys", `{"name":"x","key":"txn_mine"}`, errs.InvalidRequest},
		{rotate, `{"grace_period_seconds":-1}`, errs.ValidationFailed},
		{rotate, `{"grace_period_seconds":2592001}`, errs.ValidationFailed},
		{rotate, `{"grace_period_seconds":9223372036854775807}`, errs.ValidationFailed},
		{rotate, `{"grace_period_seconds":"1"}`, errs.InvalidRequest},
		{rotate, `{"grace":1}`, errs.InvalidRequest},
	} {
		res := api.Do(t, "POST", test.path, test.body, by)
		require.Equal(t, string(test.code), res.String(t, "code"), "%s %s: %s", test.path, test.body, res.Body)
		require.Equal(t, statusOf[test.code], res.Status)
		if test.path == rotate && test.code == errs.ValidationFailed {
			res.RequireProblem(t, res.Status, test.code, "grace_period_seconds")
		}
	}
	for _, path := range []string{"/v1/api-keys", rotate} {
		api.Do(t, "POST", path, `{}`, by, apitest.IdempotencyKey("")).RequireProblem(t, http.StatusBadRequest, errs.IdempotencyKeyMissing)
	}
	api.Do(t, "PATCH", "/v1/api-keys/"+id, `{}`, by).RequireProblem(t, http.StatusMethodNotAllowed, errs.MethodNotAllowed)
	require.Len(t, api.Do(t, "GET", "/v1/api-keys", nil, by).JSON(t)["data"], 3)
}

// However many ask at once, a business gets no more keys than it may have.
func TestWorkingKeysAreBounded(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	by := manager(t, api)
	_, err := api.DB.Pool.Exec(t.Context(), `INSERT INTO api_keys (business_id, id, name, prefix, key_hash, scopes)
		SELECT $1, gen_random_uuid(), 'x', 'txn_', sha256(convert_to(g::text, 'UTF8')), '{}' FROM generate_series(1, $2) g`,
		api.Business, apikey.MaxKeys-2-3)
	require.NoError(t, err)
	results := make(chan int, 8)
	var group sync.WaitGroup
	for range cap(results) {
		group.Go(func() {
			res, err := api.Try(t, "POST", "/v1/api-keys", `{"name":"x"}`, by)
			if err != nil {
				results <- 0
				return
			}
			results <- res.Status
		})
	}
	group.Wait()
	close(results)
	made := map[int]int{}
	for status := range results {
		made[status]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 3, http.StatusUnprocessableEntity: 5}, made)
	api.Do(t, "POST", "/v1/api-keys", `{"name":"x"}`, by).RequireProblem(t, http.StatusUnprocessableEntity, errs.LimitExceeded)
}
