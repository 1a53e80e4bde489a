package apikey

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

const (
	// trust is how long an answer of the database is believed, counted from when
	// the query started. It stays below the promised second by more than a request
	// takes from here to its commit.
	trust = 900 * time.Millisecond
	// refreshAfter is the age at which a key in use is read again in the
	// background.
	refreshAfter = 450 * time.Millisecond
	// queryTimeout bounds a look-up.
	queryTimeout = 3 * time.Second
	// maxKnown and maxUnknown bound the cache, some 300 bytes an entry. They are
	// apart, so that a flood of invented keys does not push real ones out.
	maxKnown   = 16384
	maxUnknown = 4096
)

// Verifier tells who a key belongs to. It is safe for concurrent use.
type Verifier struct {
	db      *database.DB
	known   *lru.Cache[hash, *verdict]
	unknown *lru.Cache[hash, *verdict]
	flights singleflight.Group
	stale   *refresher
	uses    *uses
}

// verdict is what the database said about a key at one moment.
type verdict struct {
	// asked is when the query started.
	asked time.Time
	// principal is nil for a key that is unknown or revoked.
	principal *Principal
	suspended bool
	// expires is when the key ends, on this process's monotonic clock; zero
	// means never.
	expires    time.Time
	refreshing atomic.Bool
	used       atomic.Bool
}

// NewVerifier returns a verifier. Run must run for as long as it is used.
func NewVerifier(db *database.DB) *Verifier {
	return &Verifier{db: db, known: newCache(maxKnown), unknown: newCache(maxUnknown), stale: newRefresher(), uses: newUses(db)}
}

func newCache(size int) *lru.Cache[hash, *verdict] {
	cache, err := lru.New[hash, *verdict](size)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return cache
}

// Run reads keys in use again before they are forgotten, and writes last_used_at
// in one statement every ten seconds, until ctx ends, and once more then. None of
// it is on the path of a request, and a database that is away costs it nothing
// but time.
func (v *Verifier) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { v.stale.run(ctx, v.refresh) })
	running.Go(func() { v.uses.run(ctx) })
	running.Wait()
}

// Verify returns who the key belongs to. Errors: errs.Unauthenticated, the same
// for a key that is malformed, unknown, revoked or expired;
// errs.BusinessSuspended; errs.Unavailable when the database cannot be asked. A
// malformed key costs no look-up, and a key that was seen within a second none
// either.
func (v *Verifier) Verify(ctx context.Context, key string) (*Principal, error) {
	if !wellFormed(key) {
		return nil, unauthenticated()
	}
	sum, now := hashOf(key), time.Now()
	if known := v.cached(sum, now); known != nil {
		return v.judge(known, now)
	}
	found, err := v.ask(ctx, sum, now)
	if err != nil {
		return nil, err
	}
	return v.judge(found, time.Now())
}

// cached returns a verdict that is still trusted at now, or nil.
func (v *Verifier) cached(sum hash, now time.Time) *verdict {
	found, ok := v.known.Get(sum)
	if !ok {
		if found, ok = v.unknown.Get(sum); !ok {
			return nil
		}
	}
	age := now.Sub(found.asked)
	if age >= trust {
		return nil
	}
	if age >= refreshAfter && found.principal != nil && found.refreshing.CompareAndSwap(false, true) {
		v.stale.add(sum)
	}
	return found
}

func (v *Verifier) judge(found *verdict, now time.Time) (*Principal, error) {
	switch {
	case found.principal == nil, !found.expires.IsZero() && !now.Before(found.expires):
		return nil, unauthenticated()
	case found.suspended:
		return nil, errs.New(errs.BusinessSuspended, "the business is suspended")
	}
	// Once per verdict, so at most every half second per key.
	if !found.used.Load() && found.used.CompareAndSwap(false, true) {
		v.uses.add(found.principal, now)
	}
	return found.principal, nil
}

// ask gets a verdict that began at most trust before now. Concurrent requests
// for one key share a query, which therefore may have begun before this request
// came, or hang since long before: such a verdict is refused and asked for anew.
func (v *Verifier) ask(ctx context.Context, sum hash, now time.Time) (*verdict, error) {
	for {
		select {
		case result := <-v.fly(sum):
			if result.Err != nil {
				return nil, result.Err
			}
			found, ok := result.Val.(*verdict)
			if ok && now.Sub(found.asked) < trust {
				return found, nil
			}
		case <-ctx.Done():
			return nil, database.Coded(ctx.Err())
		}
	}
}

// fly starts a query for a key or joins the one under way. It runs on a context
// of its own: the request that happened to start it may give up without the
// others.
func (v *Verifier) fly(sum hash) <-chan singleflight.Result {
	return v.flights.DoChan(string(sum[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		found, err := v.query(ctx, []hash{sum})
		if err != nil {
			return nil, database.Coded(err)
		}
		v.keep(sum, found[0])
		return found[0], nil
	})
}

func (v *Verifier) keep(sum hash, found *verdict) {
	if found.principal == nil {
		v.known.Remove(sum)
		v.unknown.Add(sum, found)
		return
	}
	v.unknown.Remove(sum)
	v.known.Add(sum, found)
}

// The key's remaining life is computed by the database, so that replicas whose
// clocks differ agree on when it ends.
const verifySQL = `SELECT w.n, k.business_id, k.id, k.scopes, b.status = 'suspended',
	extract(epoch FROM k.expires_at - clock_timestamp())::float8
FROM unnest($1::bytea[]) WITH ORDINALITY AS w (key_hash, n)
JOIN api_keys k ON k.key_hash = w.key_hash
JOIN businesses b ON b.id = k.business_id
WHERE k.revoked_at IS NULL`

// query returns a verdict per key, in the order of the keys.
func (v *Verifier) query(ctx context.Context, sums []hash) ([]*verdict, error) {
	asked := time.Now()
	found := make([]*verdict, len(sums))
	keys := make([][]byte, len(sums))
	for i := range sums {
		found[i], keys[i] = &verdict{asked: asked}, sums[i][:]
	}
	rows, err := v.db.Pool.Query(ctx, verifySQL, keys)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var principal Principal
		var scopes []string
		var suspended bool
		var life *float64
		if err := rows.Scan(&n, &principal.BusinessID, &principal.KeyID, &scopes, &suspended, &life); err != nil {
			return nil, err
		}
		for _, scope := range scopes {
			principal.Scopes = append(principal.Scopes, Scope(scope))
		}
		one := found[n-1]
		one.principal, one.suspended = &principal, suspended
		if life != nil {
			one.expires = expiryOf(asked, *life)
		}
	}
	return found, rows.Err()
}

// expiryOf turns a remaining life in seconds into a point on the local clock.
// Counted from before the query it errs early, by the query's duration.
func expiryOf(asked time.Time, life float64) time.Time {
	const farAway = 24 * 3600 // beyond any trust; a Duration would overflow at 292 years
	return asked.Add(time.Duration(min(life, farAway) * float64(time.Second)))
}

func unauthenticated() error {
	return errs.New(errs.Unauthenticated, "the API key is not valid")
}

// keyRef names a key in its table.
type keyRef struct {
	business models.BusinessID
	id       models.APIKeyID
}
