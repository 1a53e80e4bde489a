package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/httpapi/middleware"
	"github.com/txn-service/txn/pkg/models"
)

// pathID reads an id from the path. What is no id of the kind names nothing, and
// neither does the all-zero id, which further down stands for none: not_found.
func pathID[P models.Prefix](c *gin.Context, name string) (models.ID[P], error) {
	id, err := models.ParseID[P](c.Param(name))
	if err != nil || id.IsZero() {
		return id, errs.New(errs.NotFound, "not found")
	}
	return id, nil
}

// businessOf is the tenant of the request's API key. The route must
// authenticate, as all of /v1 do.
func businessOf(c *gin.Context) models.BusinessID { return middleware.PrincipalOf(c).BusinessID }

// actorOf is who the audit log names: the request's API key.
func actorOf(c *gin.Context) audit.Actor { return audit.Key(middleware.PrincipalOf(c).KeyID) }
