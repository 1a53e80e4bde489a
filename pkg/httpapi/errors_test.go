package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/apitest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
)

func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/nothing", "/v2/business", "/v1/business/", "/v1//business", "/V1/business",
		"/v1/business/..", "/v1/%62usiness%2F", "/metrics", "/debug/pprof/",
	} {
		api.Do(t, "GET", path, nil).RequireProblem(t, http.StatusNotFound, errs.NotFound)
	}
}

func TestWrongMethods(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "MADEUP"} {
		res := api.Do(t, method, "/v1/business", nil)
		res.RequireProblem(t, http.StatusMethodNotAllowed, errs.MethodNotAllowed)
		require.Equal(t, "GET", res.Header.Get("Allow"))
	}
	res := api.Do(t, "POST", "/health", nil)
	res.RequireProblem(t, http.StatusMethodNotAllowed, errs.MethodNotAllowed)
	require.ElementsMatch(t, []string{"GET", "HEAD"}, strings.Split(res.Header.Get("Allow"), ", "))
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	garbled := []byte(api.Key)
	garbled[10] ^= 1
	for name, header := range map[string][]string{
		"none":          {""},
		"other scheme":  {"Basic dXNlcjpwYXNz"},
		"no scheme":     {api.Key},
		"no key":        {"Bearer"},
		"empty key":     {"Bearer "},
		"garbled":       {"Bearer " + string(garbled)},
		"cut off":       {"Bearer " + api.Key[:20]},
		"longer":        {"Bearer " + api.Key + "a"},
		"very long":     {"Bearer " + strings.Repeat("a", 20_000)},
		"not ASCII":     {"Bearer txn_ä"},
		"two headers":   {"Bearer " + api.Key, "Bearer " + api.Key},
		"two keys":      {"Bearer " + api.Key + "," + api.Key},
		"SQL":           {"Bearer ' OR 1=1 --"},
		"trailing junk": {"Bearer " + api.Key + " x"},
	} {
		res := api.Do(t, "GET", "/v1/business", nil, apitest.Header("Authorization", header...))
		document := res.RequireProblem(t, http.StatusUnauthorized, errs.Unauthenticated)
		require.Equal(t, "Bearer", res.Header.Get("WWW-Authenticate"), name)
		require.NotContains(t, document["detail"], api.Key[4:])
	}
	for _, header := range []string{"bearer " + api.Key, "BEARER  " + api.Key} {
		api.Do(t, "GET", "/v1/business", nil, apitest.Header("Authorization", header)).Require(t, http.StatusOK)
	}
	require.NotContains(t, api.Log(), api.Key)
	require.NotContains(t, api.Log(), string(garbled))
}

func TestSuspendedAndRevoked(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK)
	inTx := func(do func(tx *gorm.DB) error) { require.NoError(t, api.DB.InTx(t.Context(), do)) }
	inTx(func(tx *gorm.DB) error {
		_, err := tenant.Suspend(t.Context(), tx, apitest.Operator, api.Business)
		return err
	})
	within := time.Now().Add(time.Second)
	require.Eventually(t, func() bool {
		return api.Do(t, "GET", "/v1/business", nil).Status == http.StatusForbidden
	}, 5*time.Second, 10*time.Millisecond)
	require.Less(t, time.Since(within), 300*time.Millisecond, "suspension takes effect within a second")
	api.Do(t, "GET", "/v1/business", nil).RequireProblem(t, http.StatusForbidden, errs.BusinessSuspended)
}

func TestScopes(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	api.Handler().Mount("GET", "/v1/kept", apikey.KeysManage, func(c *gin.Context) error { c.Status(http.StatusNoContent); return nil })
	document := api.Do(t, "GET", "/v1/kept", nil).RequireProblem(t, http.StatusForbidden, errs.InsufficientScope)
	require.Contains(t, document["detail"], "keys:manage")
	key := api.IssueKey(t, api.Business, apikey.KeysManage)
	api.Do(t, "GET", "/v1/kept", nil, apitest.Key(key)).Require(t, http.StatusNoContent)
}

// TestEveryRouteIsGuarded walks the list: no route of /v1 answers without a key,
// and none takes parameters that it does not know.
func TestEveryRouteIsGuarded(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	all := api.IssueKey(t, api.Business, apikey.AllScopes()...)
	id := strings.TrimPrefix(models.NewID[models.AccountPrefix]().String(), "acct_")
	prefixes := map[string]string{
		"accounts": "acct_", "transactions": "txn_", "holds": "hold_", "webhooks": "wh_",
		"webhook-events": "evt_", "webhook-deliveries": "dlv_", "api-keys": "key_",
	}
	for _, r := range api.Handler().Routes() {
		noun, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/v1/"), "/")
		path := strings.ReplaceAll(r.Path, ":id", prefixes[noun]+id)
		if strings.HasPrefix(r.Path, "/v1/") {
			require.NotEqual(t, httpapi.Public, r.Scope, r.Path)
			api.Do(t, r.Method, path, nil, apitest.Key("")).
				RequireProblem(t, http.StatusUnauthorized, errs.Unauthenticated)
		}
		if r.Method == http.MethodHead {
			continue // an answer without a body
		}
		res := api.Do(t, r.Method, path+"?nonsense=1", nil, apitest.Key(all))
		if r.HasQuery && strings.Contains(r.Path, ":id") && res.Status == http.StatusNotFound {
			continue // the id comes first
		}
		if r.HasQuery && r.Method == http.MethodPost {
			continue // the body comes first
		}
		res.RequireProblem(t, http.StatusBadRequest, errs.InvalidRequest, "nonsense")
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	api.Handler().Mount("GET", "/v1/panic", "", func(*gin.Context) error { panic("secret detail") })
	api.Handler().Mount("GET", "/v1/fails", "", func(*gin.Context) error { return errors.New("secret detail") })
	for _, path := range []string{"/v1/panic", "/v1/fails"} {
		res := api.Do(t, "GET", path, nil)
		document := res.RequireProblem(t, http.StatusInternalServerError, errs.Internal)
		require.NotContains(t, document, "detail")
		require.NotContains(t, string(res.Body), "secret")
	}
	require.Equal(t, 1, strings.Count(api.Log(), `"stack"`), "a panic is logged once with its stack")
	api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK)
}

// TestTornAnswerIsCutOff fails after the first bytes of an answer.
func TestTornAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	for path, fail := range map[string]func() error{
		"/v1/torn":       func() error { return errors.New("half-way") },
		"/v1/torn-panic": func() error { panic("half-way") },
	} {
		api.Handler().Mount("GET", path, "", func(c *gin.Context) error {
			_, err := c.Writer.WriteString("half")
			require.NoError(t, err)
			c.Writer.Flush()
			return fail()
		})
	}
	for _, path := range []string{"/v1/torn", "/v1/torn-panic"} {
		_, err := api.Try(t, "GET", path, nil)
		require.Error(t, err, "a torn answer must not look whole")
	}
	api.Do(t, "GET", "/v1/business", nil).Require(t, http.StatusOK)
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	api := apitest.New(t)
	res := api.Do(t, "GET", "/v1/business", nil, apitest.Header("X-Request-Id", "mine-1"))
	require.Equal(t, "mine-1", res.Header.Get("X-Request-Id"))
	require.Contains(t, api.Log(), `"request_id":"mine-1"`)
	for _, path := range []string{"/v1/business", "/v1/nothing", "/health"} {
		res = api.Do(t, "GET", path, nil, apitest.Header("X-Request-Id", strings.Repeat("x", 129)))
		require.Regexp(t, `^req_[0-9a-f]{30}$`, res.Header.Get("X-Request-Id"))
	}
}
