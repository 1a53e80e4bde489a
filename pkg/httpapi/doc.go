// Package httpapi is the HTTP API: routes.go lists every route, one file per
// noun holds its handlers, and one file per concern what they share.
//
// openapi.yaml is the contract of all of it, which the tests hold to the handlers and
// the handlers to it; it is served at /openapi.yaml and readable at /docs.
//
// A handler is a func(*gin.Context) error. It reads the request strictly
// (decode.go, query.go, path.go), calls a package below and answers through
// respond.go; an error that it returns becomes a problem document in one place
// (package problem). Authentication, rate limits, the access log and recovery
// are mounted around it (package middleware).
//
//	func (a *API) showAccount(c *gin.Context) error {
//		id, err := pathID[models.AccountPrefix](c, "id")
//		if err != nil {
//			return err
//		}
//		account, err := a.Ledger.Account(c.Request.Context(), businessOf(c), id)
//		if err != nil {
//			return err
//		}
//		return respond(c, http.StatusOK, wire.NewAccount(account))
//	}
package httpapi
