package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/txn-service/txn/pkg/models"
)

// client is for everything that is not wrk's.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// newTransaction is the body of a single movement.
type newTransaction struct {
	Type        string `json:"type"`
	Source      string `json:"source_account_id,omitempty"`
	Destination string `json:"destination_account_id,omitempty"`
	Amount      int64  `json:"amount"`
}

// statusError is an answer that is not a 201.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("answered %d: %s", e.status, e.text) }

// post sends a body with a new idempotency key. Anything but a 201 is a
// statusError.
func post(ctx context.Context, url, key string, body any) error {
	const mostRead = 1 << 20
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", models.NewID[models.EventPrefix]().String())
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, mostRead))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusCreated {
		return &statusError{status: answer.StatusCode, text: string(said)}
	}
	return nil
}
