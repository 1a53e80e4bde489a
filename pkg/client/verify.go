package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxWebhook is more than any event has, in bytes.
const maxWebhook = 1 << 20

// ErrBadSignature is wrapped by the errors of VerifyWebhook and ReadWebhook when the
// webhook is not from the service, was changed on its way, or was signed more than five
// minutes ago. Answer it with 401, and do nothing of what it says.
var ErrBadSignature = errors.New("the webhook is not signed as it should be")

// VerifyWebhook returns the event that a webhook brings, if it is signed with one of the
// endpoint's secrets (give the former one as well while you change it) and not more than
// five minutes old or in the future. body is what was received, byte by byte.
//
// The same event may come more than once, by retries and replays: do each Event.ID only
// once.
func VerifyWebhook(header http.Header, body []byte, secrets ...string) (*Event, error) {
	if err := verify(header, body, secrets); err != nil {
		return nil, err
	}
	event := &Event{}
	if err := json.Unmarshal(body, event); err != nil {
		return nil, fmt.Errorf("reading the webhook: %w", err)
	}
	return event, nil
}

// ReadWebhook reads the body of a request, which may have up to 1 MiB, and does what
// VerifyWebhook does. Answer with any 2xx when the event is yours, and with 410 to have
// the endpoint disabled; everything else is tried again.
func ReadWebhook(r *http.Request, secrets ...string) (*Event, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxWebhook))
	if err != nil {
		return nil, fmt.Errorf("reading the webhook: %w", err)
	}
	return VerifyWebhook(r.Header, body, secrets...)
}

func verify(header http.Header, body []byte, secrets []string) error {
	verifiers, err := newVerifiers(secrets)
	if err != nil {
		return err
	}
	refusals := make([]error, len(verifiers))
	for i, verifier := range verifiers {
		if refusals[i] = verifier.Verify(body, header); refusals[i] == nil { // compares in constant time
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrBadSignature, errors.Join(refusals...))
}

// newVerifiers refuses what is no secret: everybody can sign with an empty one.
func newVerifiers(secrets []string) ([]*standardwebhooks.Webhook, error) {
	if len(secrets) == 0 {
		return nil, errors.New("there is no secret to verify the webhook with")
	}
	verifiers := make([]*standardwebhooks.Webhook, len(secrets))
	for i, secret := range secrets {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil || strings.TrimPrefix(secret, "whsec_") == "" {
			return nil, errors.New("a secret to verify the webhook with is not one: it should be like whsec_…")
		}
		verifiers[i] = verifier
	}
	return verifiers, nil
}
