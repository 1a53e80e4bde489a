package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// hasResults reports whether an answer has a result for each item of the request:
// then the request as a whole is accepted, and items that are not as the document says
// are refused alone.
func (o *operation) hasResults(status int) bool {
	return o.OperationID == "createBatch" && status == http.StatusOK
}

// judgeItems judges the request without the items that were refused.
func (o *operation) judgeItems(r *http.Request, answer []byte) error {
	body, err := sent(r)
	if err != nil || body == nil {
		return err
	}
	var results struct{ Data []struct{ Status int } }
	var batch map[string]any
	if err := json.Unmarshal(answer, &results); err != nil {
		return err
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return err
	}
	items, _ := batch["transactions"].([]any)
	if len(items) != len(results.Data) {
		return fmt.Errorf("%d results for %d items", len(results.Data), len(items))
	}
	var accepted []any
	for i, result := range results.Data {
		if result.Status == http.StatusCreated {
			accepted = append(accepted, items[i])
		}
	}
	if len(accepted) == 0 {
		return nil // a batch without items is not one
	}
	batch["transactions"] = accepted
	if body, err = json.Marshal(batch); err != nil {
		return err
	}
	return o.judgeSent(r, body)
}
