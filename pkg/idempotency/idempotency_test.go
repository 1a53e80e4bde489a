package idempotency_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/idempotency"
	"github.com/txn-service/txn/pkg/models"
)

type body struct {
	Name     string            `json:"name"`
	Metadata map[string]string `json:"metadata"`
	Limit    *int64            `json:"limit"`
}

func fingerprint(t *testing.T, operation string, body any, ids ...string) idempotency.Fingerprint {
	t.Helper()
	f, err := idempotency.NewFingerprint(operation, body, ids...)
	require.NoError(t, err)
	return f
}

func TestFingerprintTellsRequestsApart(t *testing.T) {
	t.Parallel()
	zero := int64(0)
	all := []idempotency.Fingerprint{
		fingerprint(t, "account", body{Name: "a"}),
		fingerprint(t, "account", body{Name: "b"}),
		fingerprint(t, "webhook", body{Name: "a"}),
		fingerprint(t, "account", body{Name: "a", Limit: &zero}),
		fingerprint(t, "account", body{Name: "a", Metadata: map[string]string{"x": "1", "y": "2"}}),
		fingerprint(t, "account", body{Name: "a"}, "id"),
		fingerprint(t, "account", body{Name: "a"}, "i", "d"),
	}
	seen := map[idempotency.Fingerprint]bool{}
	for _, f := range all {
		require.False(t, seen[f])
		seen[f] = true
	}
}

func TestFingerprintIsCanonical(t *testing.T) {
	t.Parallel()
	type newer struct {
		Name     string            `json:"name"`
		Added    *string           `json:"added"`
		Metadata map[string]string `json:"metadata"`
		Limit    *int64            `json:"limit"`
	}
	pairs := map[string]string{"x": "1", "y": "2", "z": "3", "a": "4"}
	require.Equal(t,
		fingerprint(t, "account", body{Name: "a", Metadata: pairs}),
		fingerprint(t, "account", newer{Name: "a", Metadata: pairs}),
		"an optional field that a later release adds changes nothing")
	// Stored for 30 days: this value must never change.
	f := fingerprint(t, "account", body{Name: "a", Metadata: pairs}, "acct_1")
	require.Equal(t, "d25fd339b7ae04f93cdee588f4cd59f5fa593640aec5c7e34a4f630d93025504", hexOf(f))
}

func hexOf(f idempotency.Fingerprint) string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 2*len(f))
	for _, b := range f {
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// bundle is a database with a business and a work that leaves a trace.
type bundle struct {
	db      *database.DB
	request idempotency.Request
}

func setup(t *testing.T) bundle {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return bundle{db: db, request: idempotency.Request{
		Business: addBusiness(t, db), Scope: "test", Key: "k1", Fingerprint: fingerprint(t, "test", body{Name: "a"}),
	}}
}

func addBusiness(t *testing.T, db *database.DB) models.BusinessID {
	t.Helper()
	id := models.NewID[models.BusinessPrefix]()
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, id)
	require.NoError(t, err)
	return id
}

// do runs work once more for the request; work counts in audit_log.
func (b bundle) do(t *testing.T, request idempotency.Request, work func(tx *gorm.DB) (idempotency.Answer, error)) (idempotency.Answer, bool, error) {
	t.Helper()
	return idempotency.Do(t.Context(), b.db, request, func(tx *gorm.DB) (idempotency.Answer, error) {
		err := tx.Exec(`INSERT INTO audit_log (actor, action, target) VALUES ('test', 'test', 'test')`).Error
		if err != nil {
			return idempotency.Answer{}, err
		}
		return work(tx)
	})
}

func created(*gorm.DB) (idempotency.Answer, error) {
	return idempotency.Answer{Status: 201, Body: []byte(`{"id":1}`)}, nil
}

func (b bundle) requireRuns(t *testing.T, want int) {
	t.Helper()
	var runs int
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM audit_log`).Scan(&runs))
	require.Equal(t, want, runs)
}

func TestDoReplays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, replayed, err := b.do(t, b.request, created)
	require.NoError(t, err)
	require.False(t, replayed)
	second, replayed, err := b.do(t, b.request, created)
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, first, second)
	b.requireRuns(t, 1)
}

func TestDoStoresTheAnswerWithoutItsSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secret := func(*gorm.DB) (idempotency.Answer, error) {
		return idempotency.Answer{Status: 201, Body: []byte(`{"secret":"s"}`), Stored: []byte(`{}`)}, nil
	}
	first, _, err := b.do(t, b.request, secret)
	require.NoError(t, err)
	require.JSONEq(t, `{"secret":"s"}`, string(first.Body))
	second, replayed, err := b.do(t, b.request, secret)
	require.NoError(t, err)
	require.True(t, replayed)
	require.JSONEq(t, `{}`, string(second.Body))
	var leaked int
	require.NoError(t, b.db.Pool.QueryRow(t.Context(),
		`SELECT count(*) FROM idempotency_keys WHERE position('secret' in convert_from(body, 'UTF8')) > 0`).Scan(&leaked))
	require.Zero(t, leaked)
}

func TestDoRefusesAKeyForAnotherRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := b.do(t, b.request, created)
	require.NoError(t, err)
	other := b.request
	other.Fingerprint = fingerprint(t, "test", body{Name: "b"})
	_, _, err = b.do(t, other, created)
	require.True(t, errs.Is(err, errs.IdempotencyKeyReused), "%v", err)
	b.requireRuns(t, 1)
}

func TestKeysAreScoped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	requests := []idempotency.Request{b.request, b.request, b.request, b.request}
	requests[1].Scope = "other"
	requests[2].Key = "k2"
	requests[3].Business = addBusiness(t, b.db)
	for _, r := range requests {
		_, replayed, err := b.do(t, r, created)
		require.NoError(t, err)
		require.False(t, replayed)
	}
	b.requireRuns(t, 4)
}

func TestAFailureLeavesTheKeyFree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	failure := errors.New("no")
	_, _, err := b.do(t, b.request, func(*gorm.DB) (idempotency.Answer, error) {
		return idempotency.Answer{}, failure
	})
	require.ErrorIs(t, err, failure)
	b.requireRuns(t, 0)
	_, replayed, err := b.do(t, b.request, created)
	require.NoError(t, err)
	require.False(t, replayed)
}

func TestATwinIsToldToWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	inside, release := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, _, err := b.do(t, b.request, func(tx *gorm.DB) (idempotency.Answer, error) {
			close(inside)
			<-release
			return created(tx)
		})
		first <- err
	}()
	<-inside
	_, _, err := b.do(t, b.request, created)
	coded := errs.As(err)
	require.NotNil(t, coded, "%v", err)
	require.Equal(t, errs.IdempotencyInProgress, coded.Code)
	require.Positive(t, coded.RetryAfter)
	other := b.request
	other.Key = "k2"
	_, _, err = b.do(t, other, created)
	require.NoError(t, err, "another key does not wait")
	foreign := b.request
	foreign.Business = addBusiness(t, b.db)
	_, _, err = b.do(t, foreign, created)
	require.NoError(t, err, "another tenant does not wait")
	close(release)
	require.NoError(t, <-first)
	_, replayed, err := b.do(t, b.request, created)
	require.NoError(t, err)
	require.True(t, replayed)
}

func TestManyTwinsRunOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const twins = 32
	var wait sync.WaitGroup
	results := make(chan error, twins)
	for range twins {
		wait.Go(func() {
			_, _, err := b.do(t, b.request, created)
			results <- err
		})
	}
	wait.Wait()
	close(results)
	answered := 0
	for err := range results {
		if err == nil {
			answered++
			continue
		}
		require.True(t, errs.Is(err, errs.IdempotencyInProgress), "%v", err)
	}
	require.Positive(t, answered)
	b.requireRuns(t, 1)
}

func TestDoInAnOutage(t *testing.T) {
	t.Parallel()
	db, err := database.Open(t.Context(), database.Options{URL: "postgres://nobody@127.0.0.1:1/none"})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	_, _, err = idempotency.Do(t.Context(), db, idempotency.Request{Scope: "test", Key: "k"}, created)
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
}
