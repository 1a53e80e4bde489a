package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// operationTimeout bounds what a request waits for its count. A Redis in the
// same network answers in well under a millisecond.
const operationTimeout = 150 * time.Millisecond

// NewClient prepares a client for the Redis at url without connecting. Its
// timeouts suit counters: rather no answer than a late one. It never retries,
// since the fallback is at hand.
func NewClient(url string) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		// The URL may hold a password, and url.Error quotes it.
		return nil, fmt.Errorf("redis.url is no valid Redis URI (redis://[:password@]host:port/database)")
	}
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.DialTimeout = operationTimeout
	options.ReadTimeout = operationTimeout
	options.WriteTimeout = operationTimeout
	options.PoolTimeout = operationTimeout
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options), nil
}

// go-redis prints connection trouble to standard error, for every attempt. All
// of it comes back as errors too, which Store logs once per outage.
func init() { redis.SetLogger(silent{}) }

type silent struct{}

// Printf drops the message.
func (silent) Printf(context.Context, string, ...any) {}
