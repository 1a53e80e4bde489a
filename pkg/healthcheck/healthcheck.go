// Package healthcheck asks a running service how it is, for container engines
// whose images hold no shell and no curl.
package healthcheck

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// timeout bounds one question: longer than the services' own look at their
// components (2 s), shorter than what engines usually wait.
const timeout = 5 * time.Second

// maxAnswer is how much of an answer an error quotes, in bytes.
const maxAnswer = 1 << 10

// Ask returns nil when the service that listens on address, as in api.listen,
// answers path with 200.
func Ask(ctx context.Context, address, path string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// An address without a host, or with an unspecified one, is dialled on this machine.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	// Its own transport: the question never goes through HTTP_PROXY.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // the status says enough
		return fmt.Errorf("healthcheck: %s: %s", response.Status, text)
	}
	return nil
}
