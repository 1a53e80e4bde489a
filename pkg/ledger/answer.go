package ledger

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
)

// answerKey is the idempotency key of an operation whose answer is stored as a
// whole, because no single row could reproduce it.
type answerKey struct {
	business models.BusinessID
	scope    models.IdempotencyScope
	key      string
}

// storedAnswer is a row of idempotency_keys.
type storedAnswer struct {
	answerKey
	fingerprint [32]byte
	status      int16
	body        *rendering
}

// replay answers with what is stored. ours says that an earlier run of the same
// request may have stored it.
func (a *storedAnswer) replay(fingerprint [32]byte, ours bool) (reply, error) {
	if a.fingerprint != fingerprint {
		return reply{}, keyReused(a.key)
	}
	return reply{body: a.body, replayed: !ours}, nil
}

// addAnswer stores an answer in this batch's commit.
func (b *book) addAnswer(a *storedAnswer) {
	b.answers[a.answerKey] = a
	b.newAnswers = append(b.newAnswers, a)
	b.onRollback(func() { delete(b.answers, a.answerKey) })
}

const answersSQL = `SELECT k.n, s.fingerprint, s.status, s.body
FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS k (business_id, scope, key, n)
JOIN idempotency_keys s ON s.business_id = k.business_id AND s.scope = k.scope AND s.key = k.key`

func (b *book) queueAnswers(reads *pgx.Batch, keys []answerKey) {
	if len(keys) == 0 {
		return
	}
	businesses, scopes, names := make([]models.BusinessID, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		businesses[i], scopes[i], names[i] = key.business, string(key.scope), key.key
	}
	reads.Queue(answersSQL, businesses, scopes, names).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var n int64
			var fingerprint []byte
			a := storedAnswer{body: &rendering{}}
			if err := rows.Scan(&n, &fingerprint, &a.status, &a.body.bytes); err != nil {
				return fmt.Errorf("reading a stored answer: %w", err)
			}
			a.answerKey = keys[n-1]
			copy(a.fingerprint[:], fingerprint)
			b.answers[a.answerKey] = &a
		}
		return rows.Err()
	})
}

const copyAnswersSQL = `COPY idempotency_keys (business_id, scope, key, fingerprint, status, body) FROM STDIN (FORMAT binary)`

func (b *book) writeAnswers(p *database.Pipeline) {
	if len(b.newAnswers) == 0 {
		return
	}
	p.Copy(copyAnswersSQL, func(rows *database.Rows) {
		for _, a := range b.newAnswers {
			rows.Row(6)
			rows.UUID(a.business)
			rows.Text(string(a.scope))
			rows.Text(a.key)
			rows.Bytes(a.fingerprint[:])
			rows.Int16(a.status)
			rows.Bytes(a.body.bytes)
		}
	})
}
