package models_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
)

var anAccountID = regexp.MustCompile(`^acct_[0-7][0-9a-hjkmnp-tv-z]{25}$`)

// An id has one spelling: what is accepted is what the API would write.
func FuzzID(f *testing.F) {
	for _, seed := range []string{
		models.NewID[models.AccountPrefix]().String(), "acct_00000000000000000000000000", "acct_7zzzzzzzzzzzzzzzzzzzzzzzzz",
		"acct_8zzzzzzzzzzzzzzzzzzzzzzzzz", "txn_01h455vb4pex5vsknk084sn02q", "ACCT_01h455vb4pex5vsknk084sn02q", "acct_01H455VB4PEX5VSKNK084SN02Q",
		"acct_", "", "acct_01h455vb4pex5vsknk084sn02q ", "acct_01h455vb4pex5vsknk084sn02l",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := models.ParseID[models.AccountPrefix](text)
		require.Equal(t, anAccountID.MatchString(text), err == nil, "%q", text)
		if err == nil {
			require.Equal(t, text, id.String())
		} else {
			require.ErrorIs(t, err, models.ErrBadID)
		}
	})
}
