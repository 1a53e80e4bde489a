package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/tenant"
	"github.com/txn-service/txn/pkg/wire"
)

// showBusiness answers GET /v1/business: the caller's own tenant.
func (a *API) showBusiness(c *gin.Context) error {
	business, err := tenant.Get(c.Request.Context(), a.DB.Gorm, businessOf(c))
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, wire.NewBusiness(business))
}
