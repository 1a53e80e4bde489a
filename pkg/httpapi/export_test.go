package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
)

// Mount adds a route before the first request.
func (a *API) Mount(method, path string, scope apikey.Scope, h func(*gin.Context) error) {
	a.mount(route{method, path, scope, h, 0})
}

// Once gives tests the wrapper of POSTs that move no money.
func (a *API) Once(
	c *gin.Context, scope models.IdempotencyScope, body keyedBody, work func(tx *gorm.DB) (idempotency.Answer, error),
) error {
	return a.once(c, scope, body, work)
}

// Decode gives tests the strict reader of bodies.
func Decode(c *gin.Context, into any) error { return decode(c, into) }

// AnswerSecretly gives tests the answer that is stored without its secret.
func AnswerSecretly(status int, shape, stored any) (idempotency.Answer, error) {
	return answerSecretly(status, shape, stored)
}

// Public is the scope of routes that need no key.
const Public = public

// RouteOf is what a test needs to know about a route.
type RouteOf struct {
	Method, Path string
	Scope        apikey.Scope
	HasQuery     bool
}

// Routes lists the API's routes.
func (a *API) Routes() []RouteOf {
	var routes []RouteOf
	for _, r := range a.routes() {
		routes = append(routes, RouteOf{r.method, r.path, r.scope, r.traits&hasQuery != 0})
	}
	return routes
}

// ReadTransaction reads a movement as createTransaction does and answers with
// body instead of posting it.
func ReadTransaction(c *gin.Context, body []byte) error {
	var transaction newTransaction
	if err := decode(c, &transaction); err != nil {
		return err
	}
	if _, err := takeKey(c, transaction.key()); err != nil {
		return err
	}
	if _, err := transaction.toLedger(); err != nil {
		return err
	}
	return respondEncoded(c, http.StatusCreated, body)
}
