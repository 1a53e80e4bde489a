package tenant_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
)

const actor = audit.Actor("operator:ada")

func setup(t *testing.T) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// inTx runs one change in a transaction of its own.
func inTx(t *testing.T, db *database.DB, do func(tx *gorm.DB) (models.Business, error)) (models.Business, error) {
	t.Helper()
	var business models.Business
	err := db.InTx(t.Context(), func(tx *gorm.DB) (err error) {
		business, err = do(tx)
		return err
	})
	return business, err
}

func create(t *testing.T, db *database.DB, fields tenant.New) models.Business {
	t.Helper()
	business, err := inTx(t, db, func(tx *gorm.DB) (models.Business, error) {
		return tenant.Create(t.Context(), tx, actor, fields)
	})
	require.NoError(t, err)
	return business
}

func actions(t *testing.T, db *database.DB, id models.BusinessID) []string {
	t.Helper()
	entries, _, err := audit.List(t.Context(), db.Gorm, audit.Filter{Business: id})
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		require.Equal(t, id.String(), e.Target)
		require.Equal(t, string(actor), e.Actor)
		found = append(found, e.Action)
	}
	return found
}

func TestCreateAndGet(t *testing.T) {
	t.Parallel()
	db := setup(t)
	created := create(t, db, tenant.New{Name: "Acme", DefaultCurrency: "EUR", Metadata: models.Metadata{"region": "eu"}})
	require.Equal(t, models.BusinessActive, created.Status)

	read, err := tenant.Get(t.Context(), db.Gorm, created.ID)
	require.NoError(t, err)
	require.True(t, created.CreatedAt.Equal(read.CreatedAt), "microseconds survive the database")
	read.CreatedAt, read.UpdatedAt = created.CreatedAt, created.UpdatedAt
	require.Equal(t, created, read)

	entries, _, err := audit.List(t.Context(), db.Gorm, audit.Filter{Business: created.ID})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, string(audit.BusinessCreated), entries[0].Action)
	require.Nil(t, entries[0].Before)
	require.JSONEq(t, `{"name":"Acme","status":"active","default_currency":"EUR","metadata":{"region":"eu"}}`,
		string(entries[0].After))
}

func TestCreateDefaultsToUSD(t *testing.T) {
	t.Parallel()
	require.Equal(t, "USD", create(t, setup(t), tenant.New{Name: "Acme"}).DefaultCurrency)
}

func TestGetUnknown(t *testing.T) {
	t.Parallel()
	_, err := tenant.Get(t.Context(), setup(t).Gorm, models.NewID[models.BusinessPrefix]())
	require.Equal(t, errs.NotFound, errs.CodeOf(err))
}

func TestCreateValidates(t *testing.T) {
	t.Parallel()
	db := setup(t)
	for field, fields := range map[string]tenant.New{
		"name":             {Name: ""},
		"name ":            {Name: strings.Repeat("x", models.MaxName+1)},
		"name  ":           {Name: "a\x00b"},
		"default_currency": {Name: "Acme", DefaultCurrency: "usd"},
		"metadata.k":       {Name: "Acme", Metadata: models.Metadata{"k": strings.Repeat("x", models.MaxMetadataValue+1)}},
	} {
		_, err := inTx(t, db, func(tx *gorm.DB) (models.Business, error) {
			return tenant.Create(t.Context(), tx, actor, fields)
		})
		require.Equal(t, errs.ValidationFailed, errs.CodeOf(err), "%+v", fields)
		require.Equal(t, strings.TrimSpace(field), errs.As(err).Fields[0].Field)
	}
	businesses, _, err := tenant.List(t.Context(), db.Gorm, tenant.Filter{})
	require.NoError(t, err)
	require.Empty(t, businesses)
}

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	db := setup(t)
	id := create(t, db, tenant.New{Name: "Acme"}).ID
	suspend := func(tx *gorm.DB) (models.Business, error) { return tenant.Suspend(t.Context(), tx, actor, id) }
	resume := func(tx *gorm.DB) (models.Business, error) { return tenant.Resume(t.Context(), tx, actor, id) }

	suspended, err := inTx(t, db, suspend)
	require.NoError(t, err)
	require.Equal(t, models.BusinessSuspended, suspended.Status)
	again, err := inTx(t, db, suspend)
	require.NoError(t, err)
	require.True(t, suspended.UpdatedAt.Equal(again.UpdatedAt), "the second changes nothing")
	resumed, err := inTx(t, db, resume)
	require.NoError(t, err)
	require.Equal(t, models.BusinessActive, resumed.Status)
	require.Equal(t, []string{"business.resumed", "business.suspended", "business.created"}, actions(t, db, id))

	id = models.NewID[models.BusinessPrefix]()
	_, err = inTx(t, db, suspend)
	require.Equal(t, errs.NotFound, errs.CodeOf(err))
}

func TestUpdateChangesOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	db := setup(t)
	created := create(t, db, tenant.New{Name: "Acme", Metadata: models.Metadata{"a": "1"}})
	other := create(t, db, tenant.New{Name: "Other"})
	name, none := "Acme Ltd", models.Metadata{}
	apply := func(u tenant.Update) (models.Business, error) {
		return inTx(t, db, func(tx *gorm.DB) (models.Business, error) { return u.Apply(t.Context(), tx, actor, created.ID) })
	}

	_, err := apply(tenant.Update{Name: &name})
	require.NoError(t, err)
	read, err := tenant.Get(t.Context(), db.Gorm, created.ID)
	require.NoError(t, err)
	require.Equal(t, name, read.Name)
	require.Equal(t, models.Metadata{"a": "1"}, read.Metadata)
	require.True(t, read.UpdatedAt.After(read.CreatedAt))

	_, err = apply(tenant.Update{Metadata: &none})
	require.NoError(t, err)
	read, err = tenant.Get(t.Context(), db.Gorm, created.ID)
	require.NoError(t, err)
	require.Empty(t, read.Metadata)

	bad := "dollars"
	_, err = apply(tenant.Update{DefaultCurrency: &bad})
	require.Equal(t, errs.ValidationFailed, errs.CodeOf(err))
	_, err = apply(tenant.Update{})
	require.NoError(t, err)
	require.Len(t, actions(t, db, created.ID), 3, "neither a refused nor an empty change is logged")

	untouched, err := tenant.Get(t.Context(), db.Gorm, other.ID)
	require.NoError(t, err)
	require.Equal(t, "Other", untouched.Name)
}

func TestListPagesNewestFirst(t *testing.T) {
	t.Parallel()
	db := setup(t)
	var want []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		create(t, db, tenant.New{Name: name})
		want = append([]string{name}, want...)
	}
	var got []string
	filter := tenant.Filter{Limit: 2}
	for more := true; more; {
		var page []models.Business
		var err error
		page, more, err = tenant.List(t.Context(), db.Gorm, filter)
		require.NoError(t, err)
		require.NotEmpty(t, page)
		for _, b := range page {
			got = append(got, b.Name)
			filter.After = b.ID
		}
	}
	require.Equal(t, want, got)

	suspended, _, err := tenant.List(t.Context(), db.Gorm, tenant.Filter{Status: models.BusinessSuspended})
	require.NoError(t, err)
	require.Empty(t, suspended)
}
