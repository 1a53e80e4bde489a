package httpapi_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi"
	"github.com/txn-service/txn/pkg/idempotency"
)

// things mounts POST /v1/things, which counts its runs and answers a secret.
func things(api *apitest.API) *atomic.Int64 {
	var runs atomic.Int64
	server := api.Handler()
	server.Mount("POST", "/v1/things", apikey.AccountsWrite, func(c *gin.Context) error {
		var body struct {
			httpapi.Keyed
			Name string `json:"name"`
		}
		if err := httpapi.Decode(c, &body); err != nil {
			return err
		}
		return server.Once(c, "thing", &body, func(*gorm.DB) (idempotency.Answer, error) {
			if body.Name == "" {
				return idempotency.Answer{}, errs.Invalid("name", "must not be empty")
			}
			runs.Add(1)
			return httpapi.AnswerSecretly(http.StatusCreated, map[string]any{"id": 1, "secret": "s"}, map[string]any{"id": 1})
		})
	})
	return &runs
}

func TestOnce(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	runs := things(api)
	key := apitest.IdempotencyKey("k1")
	post := func(body string, options ...apitest.Option) *apitest.Response {
		return api.Do(t, "POST", "/v1/things", body, options...)
	}
	res := post(`{"name":"a"}`, key).Require(t, http.StatusCreated)
	require.JSONEq(t, `{"id":1,"secret":"s"}`, string(res.Body))
	require.Empty(t, res.Header.Get("Idempotent-Replayed"))

	for _, again := range []*apitest.Response{
		post(`{"name":"a"}`, key),
		post(` { "name" : "\u0061" } `, key),
		post(`{"idempotency_key":"k1","name":"a"}`, apitest.IdempotencyKey("")),
		post(`{"name":"a"}`, key, apitest.Key(api.IssueKey(t, api.Business))), // the key of a rotated credential
	} {
		again.Require(t, http.StatusCreated)
		require.JSONEq(t, `{"id":1}`, string(again.Body), "the secret is not repeated")
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	}
	require.Equal(t, int64(1), runs.Load())
	require.Contains(t, api.Log(), `"replayed":true`)

	res = post(`{"name":"b"}`, key)
	res.RequireProblem(t, http.StatusUnprocessableEntity, errs.IdempotencyKeyReused)
	require.Empty(t, res.Header.Get("Idempotent-Replayed"))
	post(`{"name":"a"}`, apitest.IdempotencyKey("")).
		RequireProblem(t, http.StatusBadRequest, errs.IdempotencyKeyMissing)
	post(`{"name":"a"}`, key, apitest.Key(api.NewTenant(t).Key)).Require(t, http.StatusCreated)
	require.Equal(t, int64(2), runs.Load(), "another tenant's key is another key")

	post(`{}`, apitest.IdempotencyKey("k2")).RequireProblem(t, http.StatusUnprocessableEntity, errs.ValidationFailed, "name")
	post(`{"name":"a"}`, apitest.IdempotencyKey("k2")).Require(t, http.StatusCreated)
}

func TestOnceOnTwoServers(t *testing.T) {
	t.Parallel()
	one := apitest.New(t)
	two := apitest.New(t, apitest.Options{DatabaseURL: one.DatabaseURL})
	runs := []*atomic.Int64{things(one), things(two)}
	var wait sync.WaitGroup
	statuses := make(chan int, 40)
	for i := range cap(statuses) {
		wait.Go(func() {
			api := []*apitest.API{one, two}[i%2]
			res, err := api.Try(t, "POST", "/v1/things", `{"name":"a"}`, apitest.IdempotencyKey("k"), apitest.Key(one.Key))
			if err != nil {
				statuses <- 0
				return
			}
			statuses <- res.Status
		})
	}
	wait.Wait()
	close(statuses)
	created := 0
	for status := range statuses {
		require.Contains(t, []int{http.StatusCreated, http.StatusConflict}, status)
		if status == http.StatusCreated {
			created++
		}
	}
	require.Positive(t, created)
	require.Equal(t, int64(1), runs[0].Load()+runs[1].Load())
}
