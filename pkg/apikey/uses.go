package apikey

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

const (
	flushInterval = 10 * time.Second
	flushTimeout  = 5 * time.Second
	// maxUses bounds what is gathered while the database is away; uses of further
	// keys are forgotten, which costs nothing but a last_used_at.
	maxUses = 65536
)

// uses gathers when keys were used, to write it in batches.
type uses struct {
	db *database.DB

	mu   sync.Mutex // guards last
	last map[keyRef]time.Time
}

func newUses(db *database.DB) *uses {
	return &uses{db: db, last: make(map[keyRef]time.Time)}
}

func (u *uses) add(p *Principal, at time.Time) {
	ref := keyRef{business: p.BusinessID, id: p.KeyID}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, seen := u.last[ref]; seen || len(u.last) < maxUses {
		u.last[ref] = at
	}
}

func (u *uses) run(ctx context.Context) {
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			u.flush(ctx)
		case <-ctx.Done():
			u.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// flush writes what was gathered; what cannot be written is kept for the next
// time.
func (u *uses) flush(ctx context.Context) {
	u.mu.Lock()
	batch := u.last
	u.last = make(map[keyRef]time.Time)
	u.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := u.write(ctx, batch); err == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for ref, at := range batch {
		if _, newer := u.last[ref]; !newer && len(u.last) < maxUses {
			u.last[ref] = at
		}
	}
}

// Rows are locked in order of their key, so that replicas that write the same
// ones wait for each other instead of deadlocking. Time never runs backwards.
const useSQL = `WITH used AS (
	SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS u (business_id, id, at)
), locked AS (
	SELECT k.business_id, k.id, u.at
	FROM api_keys k JOIN used u ON u.business_id = k.business_id AND u.id = k.id
	WHERE k.last_used_at IS NULL OR k.last_used_at < u.at
	ORDER BY k.business_id, k.id
	FOR NO KEY UPDATE OF k
)
UPDATE api_keys k SET last_used_at = l.at
FROM locked l WHERE k.business_id = l.business_id AND k.id = l.id`

func (u *uses) write(ctx context.Context, batch map[keyRef]time.Time) error {
	refs := slices.SortedFunc(maps.Keys(batch), compareRefs)
	businesses := make([]models.BusinessID, len(refs))
	ids := make([]models.APIKeyID, len(refs))
	times := make([]time.Time, len(refs))
	for i, ref := range refs {
		businesses[i], ids[i], times[i] = ref.business, ref.id, batch[ref]
	}
	return u.db.InPgxTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, useSQL, businesses, ids, times)
		return err
	})
}

func compareRefs(a, b keyRef) int {
	if order := bytes.Compare(a.business[:], b.business[:]); order != 0 {
		return order
	}
	return bytes.Compare(a.id[:], b.id[:])
}
