package httpapi

import (
	"context"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
)

// route is one line of the list in routes.go.
type route struct {
	method, path string
	// scope is what the key must carry; anyScope takes every valid key, public
	// needs none.
	scope   apikey.Scope
	handler handler
	traits  trait
}

const (
	anyScope              = middleware.AnyScope
	public   apikey.Scope = "public"
)

// trait is a set of what sets a route apart.
type trait uint8

const (
	// hasQuery: the handler reads the query with newQuery. On all other routes any
	// parameter is refused.
	hasQuery trait = 1 << iota
	// lists: the answer is a page, which takes memory by its rows.
	lists
	// streams: the answer may take longer than requestTimeout to write.
	streams
)

func (a *API) mount(r route) {
	var chain []gin.HandlerFunc
	if r.scope != public {
		chain = append(chain, middleware.Authenticate(a.Verifier, r.scope))
		if a.PerKey != nil {
			chain = append(chain, middleware.LimitKeys(a.PerKey))
		}
	}
	if r.traits&streams == 0 {
		chain = append(chain, deadline)
	}
	switch {
	case r.method == post, r.method == patch:
		chain = append(chain, a.admit)
	case r.traits&lists != 0:
		chain = append(chain, a.admitPage)
	}
	if r.traits&hasQuery == 0 {
		chain = append(chain, handle(noQuery))
	}
	a.engine.Handle(r.method, r.path, append(chain, handle(r.handler))...)
}

// handle makes Gin's handler of ours: an error ends the request as a problem.
func handle(h handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			middleware.Fail(c, err)
		}
	}
}

// deadline puts the request timeout on the request's context.
func deadline(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), requestTimeout)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

func noQuery(c *gin.Context) error {
	if c.Request.URL.RawQuery == "" {
		return nil
	}
	return newQuery(c.Request).Err()
}

func unknownRoute(*gin.Context) error {
	return errs.New(errs.NotFound, "there is no such route")
}

func wrongMethod(c *gin.Context) error {
	return errs.New(errs.MethodNotAllowed, "this route allows %s", c.Writer.Header().Get("Allow"))
}

// isAPI reports whether a path is under /v1, whether or not it is a route.
func isAPI(path string) bool {
	rest, found := strings.CutPrefix(path, "/v1")
	return found && (rest == "" || rest[0] == '/')
}
