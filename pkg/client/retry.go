package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

// maxBackoff is where the waits stop to grow.
const maxBackoff = 8 * time.Second

// brokenError is a try that brought no whole answer: whether it was executed is not
// known.
type brokenError struct {
	call  string
	cause error
}

// Error says what broke.
func (e *brokenError) Error() string { return e.call + ": " + e.cause.Error() }

// Unwrap returns the cause.
func (e *brokenError) Unwrap() error { return e.cause }

// retrying calls try until it succeeds, until it fails in a way that stays, or until
// there were retries enough. It returns the last failure.
func (c *call) retrying(ctx context.Context, try func() error) error {
	for retries := 0; ; retries++ {
		err := try()
		if err == nil || retries == c.client.retries || !passes(err) {
			return err
		}
		c.unclear = c.unclear || mayBeDone(err)
		if !c.pause(ctx, c.wait(retries, err)) {
			return err
		}
	}
}

// passes reports whether the same request may succeed later. Every POST carries its
// key, and repeating a PATCH or DELETE changes nothing more, so that nothing is
// executed twice even when it is not known whether it was executed.
func passes(err error) bool {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Retryable
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return false
	}
	var broken *brokenError
	return errors.As(err, &broken)
}

// mayBeDone reports whether a try may have been executed though it failed.
func mayBeDone(err error) bool {
	var refusal *Error
	return !errors.As(err, &refusal) || refusal.Status >= http.StatusInternalServerError
}

// wait is how long to wait before another retry: as long as the service says, or from
// the half to the whole of a back-off that doubles, so that callers who failed together
// do not come back together.
func (c *call) wait(retries int, err error) time.Duration {
	backoff := c.client.backoff
	for range retries {
		if backoff >= maxBackoff {
			break
		}
		backoff *= 2
	}
	wait := min(backoff, maxBackoff, c.client.maxWait)
	wait = wait/2 + rand.N(wait/2+1)
	var refusal *Error
	if errors.As(err, &refusal) {
		return max(wait, refusal.RetryAfter)
	}
	return wait
}

// pause waits, and reports false at once when that is longer than the caller lets it.
func (c *call) pause(ctx context.Context, wait time.Duration) bool {
	deadline, bounded := ctx.Deadline()
	if wait > c.client.maxWait || bounded && time.Until(deadline) < wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
