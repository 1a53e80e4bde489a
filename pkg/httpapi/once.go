package httpapi

import (
	"github.com/gin-gonic/gin"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/wire"
)

// Keyed is embedded in the body of every POST: the idempotency key may stand in
// the body as well as in the header.
type Keyed struct {
	IdempotencyKey *string `json:"idempotency_key,omitzero"`
}

func (k *Keyed) key() **string { return &k.IdempotencyKey }

// keyedBody is a pointer to a struct that embeds Keyed.
type keyedBody interface{ key() **string }

// once answers a POST that moves no money: work runs exactly once per
// idempotency key, and repetitions are answered with what it answered. scope is
// the operation, body the decoded body, pathIDs the ids of the path. work must
// do everything in its transaction and may run again after a conflict.
func (a *API) once(
	c *gin.Context, scope models.IdempotencyScope, body keyedBody,
	work func(tx *gorm.DB) (idempotency.Answer, error), pathIDs ...string,
) error {
	answer, err := a.doOnce(c, scope, body, work, pathIDs...)
	if err != nil {
		return err
	}
	return respondEncoded(c, answer.Status, answer.Body)
}

// doOnce is once without the answer: for a POST that goes on after its commit. What
// it returns to a repetition is what was stored, and the header says so already.
func (a *API) doOnce(
	c *gin.Context, scope models.IdempotencyScope, body keyedBody,
	work func(tx *gorm.DB) (idempotency.Answer, error), pathIDs ...string,
) (idempotency.Answer, error) {
	key, err := takeKey(c, body.key())
	if err != nil {
		return idempotency.Answer{}, err
	}
	fingerprint, err := idempotency.NewFingerprint(string(scope), body, pathIDs...)
	if err != nil {
		return idempotency.Answer{}, err
	}
	answer, repeated, err := idempotency.Do(c.Request.Context(), a.DB, idempotency.Request{
		Business: businessOf(c), Scope: scope, Key: key, Fingerprint: fingerprint,
	}, work)
	switch {
	case err != nil:
	case repeated:
		markReplayed(c)
	default:
		a.AfterCommit()
	}
	return answer, err
}

// answer is what work of once returns: a shape of package wire.
func answer(status int, shape any) (idempotency.Answer, error) {
	body, err := wire.Marshal(shape)
	return idempotency.Answer{Status: status, Body: body}, err
}

// answerSecretly is answer for a shape with a secret; repetitions are answered
// with stored, which is the shape without it.
func answerSecretly(status int, shape, stored any) (idempotency.Answer, error) {
	given, err := answer(status, shape)
	if err != nil {
		return given, err
	}
	given.Stored, err = wire.Marshal(stored)
	return given, err
}
