package idempotency

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

// busyRetryAfter is what a twin of a running request is told to wait.
const busyRetryAfter = time.Second

// Request names what is to happen once.
type Request struct {
	Business models.BusinessID
	// Scope is the operation within which the key is unique.
	Scope       models.IdempotencyScope
	Key         string
	Fingerprint Fingerprint
}

// Answer is what a request is answered with.
type Answer struct {
	// Status is between 200 and 299; failures are returned as errors and not stored.
	Status int
	Body   []byte
	// Stored is what a repetition is answered with instead of Body, for answers
	// with a secret. Nil means Body.
	Stored []byte
}

// Do runs work in a transaction and stores its answer there, or returns the
// answer that is stored already. When work fails, nothing is stored and nothing
// happened: the key is free. work may run more than once, so it must have no
// effect outside the transaction, which it must use for everything.
//
// Errors: idempotency_in_progress while another request holds the key,
// idempotency_key_reused for another fingerprint, work's own, unavailable.
// Locks: an advisory lock on the key until the transaction ends.
func Do(ctx context.Context, db *database.DB, r Request, work func(tx *gorm.DB) (Answer, error)) (answer Answer, replayed bool, err error) {
	err = db.InTx(ctx, func(tx *gorm.DB) error {
		if err := lock(tx, r); err != nil {
			return err
		}
		// A statement of its own after the lock, so that it sees what the lock's
		// last holder committed.
		answer, replayed, err = find(tx, r)
		if err != nil || replayed {
			return err
		}
		if answer, err = work(tx); err != nil {
			return err
		}
		return store(tx, r, answer)
	})
	if err != nil {
		return Answer{}, false, err
	}
	return answer, replayed, nil
}

func lock(tx *gorm.DB, r Request) error {
	var locked bool
	if err := tx.Raw(`SELECT pg_try_advisory_xact_lock(?)`, lockID(r)).Scan(&locked).Error; err != nil {
		return err
	}
	if !locked {
		return inProgress(nil)
	}
	return nil
}

// lockID is 64 bits of a hash: two keys that share one wait for each other's
// turn now and then, nothing worse.
func lockID(r Request) int64 {
	hash := sha256.New()
	hash.Write(r.Business[:])
	fmt.Fprintf(hash, "idempotency %s %s", r.Scope, r.Key)
	return int64(binary.BigEndian.Uint64(hash.Sum(nil)))
}

func find(tx *gorm.DB, r Request) (Answer, bool, error) {
	var row struct {
		Fingerprint []byte
		Status      int
		Body        []byte
	}
	err := tx.Raw(`SELECT fingerprint, status, body FROM idempotency_keys WHERE business_id = ? AND scope = ? AND key = ?`,
		r.Business, r.Scope, r.Key).Take(&row).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return Answer{}, false, nil
	case err != nil:
		return Answer{}, false, err
	case Fingerprint(row.Fingerprint) != r.Fingerprint:
		return Answer{}, false, errs.New(errs.IdempotencyKeyReused,
			"the idempotency key was used for a different request; use a new key")
	}
	return Answer{Status: row.Status, Body: row.Body}, true, nil
}

func store(tx *gorm.DB, r Request, answer Answer) error {
	body := answer.Stored
	if body == nil {
		body = answer.Body
	}
	if body == nil {
		body = []byte{} // an answer without a body, such as 204
	}
	err := tx.Exec(`INSERT INTO idempotency_keys (business_id, scope, key, fingerprint, status, body) VALUES (?, ?, ?, ?, ?, ?)`,
		r.Business, r.Scope, r.Key, r.Fingerprint[:], answer.Status, body).Error
	if database.SQLState(err) == database.StateUniqueViolation {
		return inProgress(err) // a batch stores its key without this lock
	}
	return err
}

func inProgress(cause error) error {
	err := errs.Wrap(cause, errs.IdempotencyInProgress, "a request with this idempotency key is being worked on; wait for its answer")
	err.RetryAfter = busyRetryAfter
	return err
}
