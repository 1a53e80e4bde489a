package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/apitest/contract"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/telemetry"
)

// serve answers every POST and GET on / with the handler, over real HTTP, as the
// API does but without authentication.
func serve(t *testing.T, h handler) (url string) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	engine := gin.New()
	engine.Use(middleware.Observe(log, telemetry.NewHTTP(prometheus.NewRegistry()), nil), middleware.Recover(log))
	engine.POST("/", handle(h))
	engine.GET("/", handle(h))
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	return server.URL
}

// reply is what a test looks at in an answer.
type reply struct {
	Status int
	Code   errs.Code    `json:"code"`
	Detail string       `json:"detail"`
	Errors []errs.Field `json:"errors"`
	header http.Header
	body   string
}

func (r reply) field() string {
	if len(r.Errors) == 0 {
		return ""
	}
	return r.Errors[0].Field
}

// client is not http.DefaultClient: whenever an httptest.Server closes, it closes
// that one's idle connections, under the requests of other tests.
var client = &http.Client{Transport: &http.Transport{}}

var documented = sync.OnceValues(func() (*contract.Contract, error) { return contract.Load(OpenAPI()) })

// document is what every answer has to keep to.
func document(t *testing.T) *contract.Contract {
	t.Helper()
	loaded, err := documented()
	require.NoError(t, err)
	return loaded
}

func send(t *testing.T, method, url string, body io.Reader, headers ...string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	judged := &http.Client{Transport: document(t).Transport(t, client.Transport)}
	res, err := judged.Do(request)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	r := reply{header: res.Header, body: string(text)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem") {
		require.NoError(t, json.Unmarshal(text, &r))
	}
	r.Status = res.StatusCode
	return r
}

func sendJSON(t *testing.T, url, body string) reply {
	t.Helper()
	return send(t, http.MethodPost, url, strings.NewReader(body), "Content-Type", "application/json")
}
