package ledger

import (
	"fmt"

	"github.com/jackc/pgx/v5"

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
	body        []byte
}

// replay answers with what is stored. ours says that an earlier run of the same
// request may have stored it.
func (a *storedAnswer) replay(fingerprint [32]byte, ours bool) (Result, error) {
	if a.fingerprint != fingerprint {
		return Result{}, keyReused(a.key)
	}
	return Result{Body: a.body, Replayed: !ours}, nil
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
			var a storedAnswer
			if err := rows.Scan(&n, &fingerprint, &a.status, &a.body); err != nil {
				return fmt.Errorf("reading a stored answer: %w", err)
			}
			a.answerKey = keys[n-1]
			copy(a.fingerprint[:], fingerprint)
			b.answers[a.answerKey] = &a
		}
		return rows.Err()
	})
}

const insertAnswersSQL = `INSERT INTO idempotency_keys (business_id, scope, key, fingerprint, status, body)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::smallint[], $6::bytea[])`

func (b *book) queueAnswerWrites(writes *pgx.Batch) {
	n := len(b.newAnswers)
	if n == 0 {
		return
	}
	businesses, scopes, keys := make([]models.BusinessID, n), make([]string, n), make([]string, n)
	fingerprints, statuses, bodies := make([][]byte, n), make([]int16, n), make([][]byte, n)
	for i, a := range b.newAnswers {
		businesses[i], scopes[i], keys[i] = a.business, string(a.scope), a.key
		fingerprints[i], statuses[i], bodies[i] = a.fingerprint[:], a.status, a.body
	}
	writes.Queue(insertAnswersSQL, businesses, scopes, keys, fingerprints, statuses, bodies)
}
