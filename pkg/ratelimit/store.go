package ratelimit

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/ulule/limiter/v3"
	redisstore "github.com/ulule/limiter/v3/drivers/store/redis"
	"golang.org/x/sync/singleflight"
)

// keyPrefix begins every counter's name in Redis.
const keyPrefix = "txn:ratelimit"

// retryInterval is how long counting stays in memory after Redis failed. Then
// one request tries again while the others stay in memory, so that an outage
// costs one request in three seconds the operation timeout.
const retryInterval = 3 * time.Second

// Store holds the counters of all limits of one process.
type Store struct {
	client  *redis.Client // nil: count in memory
	memory  *windows
	log     logrus.FieldLogger
	retryIn time.Duration

	// retryAt is when Redis may be tried again, in nanoseconds since the epoch;
	// 0 while it works.
	retryAt atomic.Int64

	// shared is built when Redis first answers: building it loads the scripts,
	// and a service must start while Redis is down.
	shared   atomic.Pointer[limiter.Store]
	building singleflight.Group

	inMemory prometheus.Gauge
	failures prometheus.Counter
}

// NewStore returns a store over client, or in memory alone when client is nil.
// Its metrics are registered with metrics.
func NewStore(client *redis.Client, metrics prometheus.Registerer, log logrus.FieldLogger) *Store {
	s := &Store{
		client: client, memory: newWindows(maxWindows), log: log, retryIn: retryInterval,
		inMemory: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "txn_ratelimit_in_memory",
			Help: "1 while rate limits are counted in this process's memory instead of Redis.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "txn_ratelimit_redis_failures_total",
			Help: "Rate limit operations that Redis failed.",
		}),
	}
	metrics.MustRegister(s.inMemory, s.failures)
	if client == nil {
		s.inMemory.Set(1)
	}
	return s
}

func (s *Store) take(ctx context.Context, key string, rate limiter.Rate) limiter.Context {
	if s.client == nil || !s.mayTry() {
		return s.memory.take(ctx, key, rate)
	}
	state, err := s.takeShared(ctx, key, rate)
	if err != nil {
		s.failed(err)
		return s.memory.take(ctx, key, rate)
	}
	s.worked()
	return state
}

// mayTry says whether this request should ask Redis. During an outage it says so
// to one request per interval.
func (s *Store) mayTry() bool {
	at := s.retryAt.Load()
	if at == 0 {
		return true
	}
	now := time.Now()
	return now.UnixNano() >= at && s.retryAt.CompareAndSwap(at, now.Add(s.retryIn).UnixNano())
}

// takeShared counts in Redis. A caller who hangs up is counted all the same, and
// does not look like an outage: see pipeline.
func (s *Store) takeShared(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	store, err := s.sharedStore()
	if err != nil {
		return limiter.Context{}, err
	}
	return (*store).Get(ctx, key, rate)
}

// sharedStore builds the store over Redis on first use. Requests that come
// meanwhile wait for the same attempt: none is counted in memory while Redis
// works, and during an outage they do not wait one after another.
func (s *Store) sharedStore() (*limiter.Store, error) {
	if store := s.shared.Load(); store != nil {
		return store, nil
	}
	_, err, _ := s.building.Do("", func() (any, error) {
		store, err := redisstore.NewStoreWithOptions(&pipeline{Client: s.client}, limiter.StoreOptions{Prefix: keyPrefix})
		if err == nil {
			s.shared.Store(&store)
		}
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	return s.shared.Load(), nil
}

// failed starts an outage or prolongs it; the log hears of the start alone.
func (s *Store) failed(err error) {
	s.failures.Inc()
	if s.retryAt.Swap(time.Now().Add(s.retryIn).UnixNano()) == 0 {
		s.inMemory.Set(1)
		s.log.WithError(err).Warn("redis does not answer: rate limits are counted in memory")
	}
}

// worked ends an outage, if there was one.
func (s *Store) worked() {
	if s.retryAt.Load() != 0 && s.retryAt.Swap(0) != 0 {
		s.inMemory.Set(0)
		s.log.Info("redis answers again: rate limits are counted for all replicas together")
	}
}

// Ping asks Redis for a sign of life within the operation timeout. Without a
// Redis it returns nil.
func (s *Store) Ping(ctx context.Context) error {
	if s.client == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	return s.client.Ping(bounded).Err()
}

// Configured reports whether there is a Redis to count in.
func (s *Store) Configured() bool { return s.client != nil }
