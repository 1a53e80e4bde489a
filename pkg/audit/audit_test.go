package audit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/models"
)

func setup(t *testing.T) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), database.Options{URL: dbtest.New(t).URL})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func insertBusiness(t *testing.T, db *database.DB) models.BusinessID {
	t.Helper()
	id := models.NewID[models.BusinessPrefix]()
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO businesses (id, name) VALUES ($1, 'Acme')`, id)
	require.NoError(t, err)
	return id
}

func TestAppendKeepsWhatChanged(t *testing.T) {
	t.Parallel()
	db := setup(t)
	business := insertBusiness(t, db)
	type state struct {
		Name string `json:"name"`
	}
	require.NoError(t, audit.Append(t.Context(), db.Gorm, audit.Change{
		Business: business, Actor: audit.Operator("ada"), Action: audit.BusinessUpdated, Target: business.String(),
		Before: state{Name: "Acme"}, After: state{Name: "Acme Ltd"},
	}))

	entries, more, err := audit.List(t.Context(), db.Gorm, audit.Filter{Business: business})
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, entries, 1)
	entry := entries[0]
	require.Equal(t, business, *entry.BusinessID)
	require.Equal(t, "operator:ada", entry.Actor)
	require.Equal(t, "business.updated", entry.Action)
	require.Equal(t, business.String(), entry.Target)
	require.JSONEq(t, `{"name":"Acme"}`, string(entry.Before))
	require.JSONEq(t, `{"name":"Acme Ltd"}`, string(entry.After))
	require.WithinDuration(t, time.Now(), entry.CreatedAt, time.Minute)
}

func TestAppendWithoutBusinessOrState(t *testing.T) {
	t.Parallel()
	db := setup(t)
	require.NoError(t, audit.Append(t.Context(), db.Gorm, audit.Change{
		Actor: audit.Operator("ada"), Action: audit.KeyRevoked, Target: "x",
	}))
	entries, _, err := audit.List(t.Context(), db.Gorm, audit.Filter{})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Nil(t, entries[0].BusinessID)
	require.Nil(t, entries[0].Before)
	require.Nil(t, entries[0].After)
}

func TestAppendSharesTheCallersTransaction(t *testing.T) {
	t.Parallel()
	db := setup(t)
	err := db.InTx(t.Context(), func(tx *gorm.DB) error {
		if err := audit.Append(t.Context(), tx, audit.Change{Actor: "operator:ada", Action: "a.b", Target: "x"}); err != nil {
			return err
		}
		return gorm.ErrInvalidData
	})
	require.ErrorIs(t, err, gorm.ErrInvalidData)
	entries, _, err := audit.List(t.Context(), db.Gorm, audit.Filter{})
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestEntriesAreImmutable(t *testing.T) {
	t.Parallel()
	db := setup(t)
	require.NoError(t, audit.Append(t.Context(), db.Gorm, audit.Change{Actor: "operator:ada", Action: "a.b", Target: "x"}))
	for _, sql := range []string{`UPDATE audit_log SET actor = 'nobody'`, `DELETE FROM audit_log`, `TRUNCATE audit_log`} {
		_, err := db.Pool.Exec(t.Context(), sql)
		require.Equal(t, "23001", database.SQLState(err), sql) // restrict_violation
	}
}

func TestListFiltersAndPages(t *testing.T) {
	t.Parallel()
	db := setup(t)
	one, other := insertBusiness(t, db), insertBusiness(t, db)
	for _, change := range []audit.Change{
		{Business: one, Actor: "operator:ada", Action: audit.KeyIssued, Target: "k1"},
		{Business: one, Actor: "operator:ada", Action: audit.KeyRevoked, Target: "k1"},
		{Business: one, Actor: "operator:bob", Action: audit.KeyIssued, Target: "k2"},
		{Business: other, Actor: "operator:ada", Action: audit.KeyIssued, Target: "k3"},
	} {
		require.NoError(t, audit.Append(t.Context(), db.Gorm, change))
	}
	for name, test := range map[string]struct {
		filter audit.Filter
		want   []string
	}{
		"all, newest first": {audit.Filter{}, []string{"k3", "k2", "k1", "k1"}},
		"business":          {audit.Filter{Business: one}, []string{"k2", "k1", "k1"}},
		"actor":             {audit.Filter{Actor: audit.Operator("bob")}, []string{"k2"}},
		"action":            {audit.Filter{Action: audit.KeyRevoked}, []string{"k1"}},
		"target":            {audit.Filter{Target: "k3"}, []string{"k3"}},
		"since":             {audit.Filter{Since: time.Now().Add(time.Hour)}, nil},
		"until":             {audit.Filter{Until: time.Now().Add(-time.Hour)}, nil},
		"combined":          {audit.Filter{Business: one, Actor: "operator:ada", Action: audit.KeyIssued}, []string{"k1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, targets(t, db, test.filter))
		})
	}
}

// targets reads a list to its end, two entries at a time.
func targets(t *testing.T, db *database.DB, filter audit.Filter) []string {
	t.Helper()
	var found []string
	filter.Limit = 2
	for {
		entries, more, err := audit.List(t.Context(), db.Gorm, filter)
		require.NoError(t, err)
		require.LessOrEqual(t, len(entries), 2)
		for _, e := range entries {
			found = append(found, e.Target)
			filter.After = e.ID
		}
		if !more {
			return found
		}
	}
}
