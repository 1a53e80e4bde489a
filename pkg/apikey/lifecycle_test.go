package apikey

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

const actor = audit.Actor("operator:ada")

// bundle is what a test works with: a database with one business.
type bundle struct {
	db       *database.DB
	business models.BusinessID
}

func setup(t *testing.T) bundle {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return bundle{db: db, business: insertBusiness(t, db)}
}

func insertBusiness(t *testing.T, db *database.DB) models.BusinessID {
	t.Helper()
	id := models.NewID[models.BusinessPrefix]()
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, id)
	require.NoError(t, err)
	return id
}

func (b bundle) issue(t *testing.T, fields New) Issued {
	t.Helper()
	issued, err := b.tryIssue(t, b.business, fields)
	require.NoError(t, err)
	return issued
}

func (b bundle) tryIssue(t *testing.T, business models.BusinessID, fields New) (issued Issued, err error) {
	t.Helper()
	err = b.db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		issued, err = Issue(t.Context(), tx, actor, business, fields)
		return err
	})
	return issued, err
}

func (b bundle) rotate(t *testing.T, id models.APIKeyID, grace time.Duration) (issued Issued, err error) {
	t.Helper()
	err = b.db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		issued, err = Rotate(t.Context(), tx, actor, b.business, id, grace)
		return err
	})
	return issued, err
}

func (b bundle) revoke(t *testing.T, business models.BusinessID, id models.APIKeyID) (key models.APIKey, err error) {
	t.Helper()
	err = b.db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		key, err = Revoke(t.Context(), tx, actor, business, id)
		return err
	})
	return key, err
}

func (b bundle) actions(t *testing.T) []string {
	t.Helper()
	entries, _, err := audit.List(t.Context(), b.db.Gorm, audit.Filter{Business: b.business})
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		found = append(found, e.Action)
	}
	return found
}

func TestIssueStoresOnlyTheHash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	end := time.Now().Add(time.Hour)
	issued := b.issue(t, New{Name: "ci", Scopes: []Scope{KeysManage, AccountsRead}, ExpiresAt: &end})
	require.True(t, wellFormed(issued.Secret))

	read, err := Get(t.Context(), b.db.Gorm, b.business, issued.Key.ID)
	require.NoError(t, err)
	sum := hashOf(issued.Secret)
	require.Equal(t, sum[:], read.KeyHash)
	require.Equal(t, "ci", read.Name)
	require.Equal(t, issued.Secret[:8], read.Prefix)
	require.Equal(t, models.TextList{"accounts:read", "keys:manage"}, read.Scopes)
	require.WithinDuration(t, end, *read.ExpiresAt, time.Millisecond)
	require.True(t, issued.Key.CreatedAt.Equal(read.CreatedAt))

	var everything []byte
	require.NoError(t, b.db.Pool.QueryRow(t.Context(), `SELECT convert_to(
		(SELECT string_agg(k::text, '') FROM api_keys k) || (SELECT string_agg(a::text, '') FROM audit_log a), 'UTF8')`).
		Scan(&everything))
	require.NotContains(t, string(everything), issued.Secret[displayLength:])
	var log []byte
	require.NoError(t, b.db.Pool.QueryRow(t.Context(),
		`SELECT convert_to(string_agg(a::text, ''), 'UTF8') FROM audit_log a`).Scan(&log))
	require.False(t, bytes.Contains(log, []byte("hash")))
	require.Equal(t, []string{"key.issued"}, b.actions(t))
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	past := time.Now().Add(-time.Second)
	for name, test := range map[string]struct {
		fields New
		field  string
	}{
		"no name":       {New{}, "name"},
		"bad scope":     {New{Name: "x", Scopes: []Scope{"money:print"}}, "scopes"},
		"expired":       {New{Name: "x", ExpiresAt: &past}, "expires_at"},
		"control chars": {New{Name: "a\nb"}, "name"},
	} {
		_, err := b.tryIssue(t, b.business, test.fields)
		require.Equal(t, errs.ValidationFailed, errs.CodeOf(err), name)
		require.Equal(t, test.field, errs.As(err).Fields[0].Field, name)
	}
	_, err := b.tryIssue(t, models.NewID[models.BusinessPrefix](), New{Name: "x"})
	require.Equal(t, errs.NotFound, errs.CodeOf(err))
	require.Empty(t, b.actions(t))
}

func TestIssueIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.Pool.Exec(t.Context(), `INSERT INTO api_keys (business_id, id, name, prefix, key_hash, scopes, revoked_at)
		SELECT $1, gen_random_uuid(), 'x', 'txn_', sha256(convert_to(g::text, 'UTF8')), '{}', CASE WHEN g > $2 THEN now() END
		FROM generate_series(1, $2 + 10) g`, b.business, MaxKeys-1)
	require.NoError(t, err)
	last := b.issue(t, New{Name: "the last one: revoked keys do not count"})
	_, err = b.tryIssue(t, b.business, New{Name: "one too many"})
	require.Equal(t, errs.LimitExceeded, errs.CodeOf(err))
	_, err = b.rotate(t, last.Key.ID, time.Hour)
	require.NoError(t, err, "a business at its limit can still rotate")
}

func TestRotateKeepsTheOldKeyForItsGrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	soon := time.Now().Add(time.Minute)
	for name, test := range map[string]struct {
		expires *time.Time
		grace   time.Duration
		want    time.Time
	}{
		"grace":                {nil, time.Hour, time.Now().Add(time.Hour)},
		"own expiry is sooner": {&soon, time.Hour, soon},
		"grace is sooner":      {&soon, time.Second, time.Now().Add(time.Second)},
		"at once":              {nil, 0, time.Now()},
	} {
		old := b.issue(t, New{Name: name, Scopes: []Scope{WebhooksRead}, ExpiresAt: test.expires})
		issued, err := b.rotate(t, old.Key.ID, test.grace)
		require.NoError(t, err, name)
		require.NotEqual(t, old.Secret, issued.Secret)
		require.Equal(t, old.Key.ID, *issued.Key.ReplacesID)
		require.Equal(t, old.Key.Name, issued.Key.Name)
		require.Equal(t, old.Key.Scopes, issued.Key.Scopes)
		require.Equal(t, test.expires == nil, issued.Key.ExpiresAt == nil)
		if test.expires != nil {
			require.True(t, old.Key.ExpiresAt.Equal(*issued.Key.ExpiresAt))
		}
		read, err := Get(t.Context(), b.db.Gorm, b.business, old.Key.ID)
		require.NoError(t, err)
		require.WithinDuration(t, test.want, *read.ExpiresAt, 5*time.Second, name)
	}
	require.Equal(t, []string{"key.issued", "key.rotated", "key.issued"}, b.actions(t)[:3])
}

func TestRotateRefusesAKeyThatWorksNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rotated := b.issue(t, New{Name: "rotated"})
	_, err := b.rotate(t, rotated.Key.ID, 0)
	require.NoError(t, err)
	_, err = b.rotate(t, rotated.Key.ID, time.Hour)
	require.Equal(t, errs.InvalidState, errs.CodeOf(err))

	revoked := b.issue(t, New{Name: "revoked"})
	_, err = b.revoke(t, b.business, revoked.Key.ID)
	require.NoError(t, err)
	_, err = b.rotate(t, revoked.Key.ID, time.Hour)
	require.Equal(t, errs.InvalidState, errs.CodeOf(err))

	for _, grace := range []time.Duration{-time.Second, MaxGrace + time.Second} {
		_, err = b.rotate(t, revoked.Key.ID, grace)
		require.Equal(t, errs.ValidationFailed, errs.CodeOf(err))
	}
	_, err = b.rotate(t, models.NewID[models.APIKeyPrefix](), time.Hour)
	require.Equal(t, errs.NotFound, errs.CodeOf(err))
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	issued := b.issue(t, New{Name: "ci"})
	other := insertBusiness(t, b.db)
	_, err := b.revoke(t, other, issued.Key.ID)
	require.Equal(t, errs.NotFound, errs.CodeOf(err), "another business's key does not exist")

	key, err := b.revoke(t, b.business, issued.Key.ID)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), *key.RevokedAt, time.Minute)
	again, err := b.revoke(t, b.business, issued.Key.ID)
	require.NoError(t, err)
	require.True(t, key.RevokedAt.Equal(*again.RevokedAt), "the second changes nothing")
	require.Equal(t, []string{"key.revoked", "key.issued"}, b.actions(t))
}

func TestListIsPagedPerBusiness(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := insertBusiness(t, b.db)
	_, err := b.tryIssue(t, other, New{Name: "foreign"})
	require.NoError(t, err)
	first := b.issue(t, New{Name: "1"})
	b.issue(t, New{Name: "2"})
	b.issue(t, New{Name: "3"})

	page, more, err := List(t.Context(), b.db.Gorm, b.business, Filter{Limit: 2})
	require.NoError(t, err)
	require.True(t, more)
	require.Equal(t, []string{"3", "2"}, []string{page[0].Name, page[1].Name})
	page, more, err = List(t.Context(), b.db.Gorm, b.business, Filter{Limit: 2, After: page[1].ID})
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, page, 1)
	require.Equal(t, first.Key.ID, page[0].ID)

	_, err = b.revoke(t, b.business, first.Key.ID)
	require.NoError(t, err)
	page, _, err = List(t.Context(), b.db.Gorm, b.business, Filter{Working: true})
	require.NoError(t, err)
	require.Len(t, page, 2)

	_, err = Get(t.Context(), b.db.Gorm, other, first.Key.ID)
	require.Equal(t, errs.NotFound, errs.CodeOf(err))
	owner, err := OwnerOf(t.Context(), b.db.Gorm, first.Key.ID)
	require.NoError(t, err)
	require.Equal(t, b.business, owner)
	_, err = OwnerOf(t.Context(), b.db.Gorm, models.NewID[models.APIKeyPrefix]())
	require.Equal(t, errs.NotFound, errs.CodeOf(err))
}
