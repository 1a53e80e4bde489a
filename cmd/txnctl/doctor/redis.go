package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/txn-service/txn/pkg/ratelimit"
)

// limiterPatience is how long the services wait for a count before they count in
// memory.
const limiterPatience = 150 * time.Millisecond

// connectRedis finds a Redis that is configured and does not answer, or answers
// too late to be of use.
func connectRedis(ctx context.Context, p *patient) (verdict, error) {
	if p.settings.Redis.URL == "" {
		return skipped("none is configured: each API counts its rate limits for itself, and holds expire within seconds instead of at once"), nil
	}
	client, err := ratelimit.NewClient(p.settings.Redis.URL)
	if err != nil {
		return fail(err.Error(), "correct redis.url (TXN_REDIS_URL)"), nil
	}
	// The services' client, with more patience: here a late answer is worth more
	// than none.
	options := *client.Options()
	_ = client.Close() // it has connected to nothing
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = p.Timeout, p.Timeout, p.Timeout, p.Timeout
	p.redis = redis.NewClient(&options)
	if err := p.redis.Ping(ctx).Err(); err != nil {
		return fail(fmt.Sprintf("%v; meanwhile each API counts its rate limits for itself", err),
			"start Redis, or correct redis.url (TXN_REDIS_URL): host, port, password, rediss:// for TLS"), nil
	}
	began := time.Now() // connecting is over
	if err := p.redis.Ping(ctx).Err(); err != nil {
		return verdict{}, err
	}
	return judgeLatency(time.Since(began)), nil
}

func judgeLatency(took time.Duration) verdict {
	if took > limiterPatience {
		return warn(fmt.Sprintf("it answers in %s, and the services wait for %s before they count in memory", span(took), limiterPatience),
			"look at SLOWLOG GET, at the machine's load, and at the network in between")
	}
	return ok("it answers in %s", took.Round(10*time.Microsecond))
}

// info reads a section of INFO.
func (p *patient) info(ctx context.Context, section string) (map[string]string, error) {
	text, err := p.redis.Info(ctx, section).Result()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			fields[key] = value
		}
	}
	return fields, nil
}

// checkMemory finds a Redis that will refuse counters when it is full. All of
// txn's keys expire, so that evicting the oldest costs next to nothing.
func checkMemory(ctx context.Context, p *patient) (verdict, error) {
	fields, err := p.info(ctx, "memory")
	if err != nil {
		return verdict{}, err
	}
	limit, policy := fields["maxmemory_human"], fields["maxmemory_policy"]
	if fields["maxmemory"] == "0" {
		return ok("%s used, no limit (maxmemory)", fields["used_memory_human"]), nil
	}
	if policy == "noeviction" {
		return warn(fmt.Sprintf("%s used of %s, and maxmemory-policy is noeviction: when it is full, counters are refused", fields["used_memory_human"], limit),
			"CONFIG SET maxmemory-policy volatile-ttl (and in redis.conf)"), nil
	}
	return ok("%s used of %s, maxmemory-policy %s", fields["used_memory_human"], limit, policy), nil
}

// checkNotifications finds a Redis that does not tell when keys run out, so that
// holds expire at the next sweep instead of at once.
func checkNotifications(ctx context.Context, p *patient) (verdict, error) {
	const setting = "notify-keyspace-events"
	settings, err := p.redis.ConfigGet(ctx, setting).Result()
	if err != nil {
		// Managed servers forbid CONFIG.
		return skipped("%s cannot be read (%v); it should contain E and x", setting, err), nil
	}
	value := settings[setting]
	// A stands for all classes of events, x (expired) among them.
	if strings.Contains(value, "E") && strings.ContainsAny(value, "xA") {
		return ok("%s is %q", setting, value), nil
	}
	return warn(fmt.Sprintf("%s is %q: holds expire within seconds instead of at once", setting, value),
		"CONFIG SET "+setting+" Ex (and in redis.conf)"), nil
}

// tellPersistence says whether Redis writes to disk, which txn does not need.
func tellPersistence(ctx context.Context, p *patient) (verdict, error) {
	fields, err := p.info(ctx, "persistence")
	if err != nil {
		return verdict{}, err
	}
	if fields["aof_enabled"] == "1" {
		return ok("the append-only file is on; txn needs none: what Redis holds may be lost at any time"), nil
	}
	return ok("no append-only file, and none is needed: what Redis holds may be lost at any time"), nil
}
