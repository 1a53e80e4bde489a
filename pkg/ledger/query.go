package ledger

import (
	"fmt"
	"strings"

	"github.com/txn-service/txn/pkg/models"
)

// query gathers the conditions of a list and their arguments. $1 is the
// business: no list is read without it.
type query struct {
	conditions []string
	args       []any
}

func newQuery(business models.BusinessID) *query { return &query{args: []any{business}} }

// arg adds an argument and returns its placeholder.
func (q *query) arg(value any) string {
	q.args = append(q.args, value)
	return fmt.Sprintf("$%d", len(q.args))
}

// where adds a condition; each %s in it becomes the placeholder of a value.
func (q *query) where(condition string, values ...any) {
	for _, value := range values {
		condition = strings.Replace(condition, "%s", q.arg(value), 1)
	}
	q.conditions = append(q.conditions, condition)
}

// all joins the conditions.
func (q *query) all() string { return strings.Join(q.conditions, " AND ") }
