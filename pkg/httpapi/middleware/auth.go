package middleware

import (
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/errs"
)

// AnyScope is what a route requires that every valid key may use.
const AnyScope apikey.Scope = ""

// maxAuthorization bounds the header before anything is computed from it, in
// bytes. A key has well under a hundred.
const maxAuthorization = 512

// Authenticate lets requests through that carry a valid key with the scope, and
// notes who calls. Others end as unauthenticated, business_suspended,
// insufficient_scope, or unavailable when that cannot be told.
func Authenticate(verifier *apikey.Verifier, scope apikey.Scope) gin.HandlerFunc {
	return func(c *gin.Context) {
		key, err := bearer(c.Request.Header["Authorization"])
		if err != nil {
			Fail(c, err)
			return
		}
		principal, err := verifier.Verify(c.Request.Context(), key)
		if err != nil {
			Fail(c, err)
			return
		}
		ExchangeOf(c).Principal = principal
		if scope != AnyScope && !principal.Allows(scope) {
			Fail(c, errs.New(errs.InsufficientScope, "the API key lacks the scope %s", scope))
		}
	}
}

// bearer reads the key from `Authorization: Bearer <key>` (RFC 6750 §2.1).
func bearer(lines []string) (string, error) {
	switch {
	case len(lines) == 0:
		return "", errs.New(errs.Unauthenticated, "send the API key as `Authorization: Bearer <key>`")
	case len(lines) > 1:
		return "", errs.New(errs.Unauthenticated, "send one Authorization header")
	}
	scheme, key, found := strings.Cut(lines[0], " ")
	if key = strings.TrimLeft(key, " "); !found || key == "" || len(key) > maxAuthorization || !strings.EqualFold(scheme, "Bearer") {
		return "", errs.New(errs.Unauthenticated, "send the API key as `Authorization: Bearer <key>`")
	}
	return key, nil
}
