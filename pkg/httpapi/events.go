package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// listEvents answers GET /v1/webhook-events: the bodies that endpoints get.
func (a *API) listEvents(c *gin.Context) error {
	q := newQuery(c.Request)
	p, after := pageByID[models.EventPrefix](q, "events")
	kind := queryEventType(q)
	if err := q.Err(); err != nil {
		return err
	}
	rows, err := webhook.ListEvents(a.DB.Gorm.WithContext(c.Request.Context()), businessOf(c), kind, orZero(after), p.Limit+1)
	if err != nil {
		return err
	}
	return respond(c, http.StatusOK, newList(p, rows,
		func(e models.Event) jsontext.Value { return e.Body }, func(e models.Event) []byte { return positionID(e.ID) }))
}

// showEvent answers GET /v1/webhook-events/{id} with the exact bytes that
// endpoints get.
func (a *API) showEvent(c *gin.Context) error {
	id, err := pathID[models.EventPrefix](c, "id")
	if err != nil {
		return err
	}
	row, err := webhook.GetEvent(a.DB.Gorm.WithContext(c.Request.Context()), businessOf(c), id)
	if err != nil {
		return err
	}
	return respondEncoded(c, http.StatusOK, row.Body)
}
