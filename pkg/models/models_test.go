package models_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.jetify.com/typeid"

	"github.com/txn-service/txn/pkg/errs"
	"github.com/txn-service/txn/pkg/models"
)

func TestIDRoundTripsAndIsATypeID(t *testing.T) {
	t.Parallel()
	id := models.NewID[models.AccountPrefix]()
	parsed, err := models.ParseID[models.AccountPrefix](id.String())
	require.NoError(t, err)
	require.Equal(t, id, parsed)
	other, err := typeid.FromString(id.String())
	require.NoError(t, err)
	require.Equal(t, "acct", other.Prefix())
	require.Equal(t, id.UUID(), other.UUID())
}

func TestIDRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	good := models.NewID[models.AccountPrefix]().String()
	suffix := strings.TrimPrefix(good, "acct_")
	for _, text := range []string{
		"", "acct", "acct_", suffix, "txn_" + suffix, "ACCT_" + suffix, "acct_" + strings.ToUpper(suffix),
		good + "0", good[:len(good)-1], "acct_8" + suffix[1:], "acct_" + suffix[:25] + "u", " " + good, "acct__" + suffix[1:],
	} {
		_, err := models.ParseID[models.AccountPrefix](text)
		require.ErrorIs(t, err, models.ErrBadID, text)
	}
}

func TestIDsSortByTimeAndOrderOfCreation(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	var ids []string
	for i := range 3 {
		ids = append(ids, models.NewIDAt[models.TransactionPrefix](at.Add(time.Duration(i)*time.Microsecond)).String())
	}
	require.True(t, slices.IsSorted(ids))
	first, before := models.FirstIDAt[models.TransactionPrefix](at), models.NewIDAt[models.TransactionPrefix](at.Add(-time.Microsecond))
	require.LessOrEqual(t, first.String(), ids[0])
	require.Greater(t, first.String(), before.String())
	require.Equal(t, byte(7), first[6]>>4, "version")
	require.Equal(t, byte(0b10), first[8]>>6, "variant")

	// More than any batch takes at one moment.
	last := models.NewIDAt[models.TransactionPrefix](at)
	require.Equal(t, byte(0b10), last[8]>>6, "variant")
	for range 100_000 {
		next := models.NewIDAt[models.TransactionPrefix](at)
		require.Negative(t, bytes.Compare(last[:], next[:]))
		last = next
	}

	early := models.FirstIDAt[models.TransactionPrefix](time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC))
	require.Less(t, early.String(), first.String(), "before 1970 there are no ids")
	require.False(t, early.IsZero())
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	check := func(m models.Metadata) error {
		var v errs.Validation
		m.Check(&v, "metadata")
		return v.Err()
	}
	full := models.Metadata{}
	for i := range models.MaxMetadataPairs {
		full[strings.Repeat("ä", i%40+1)+string(rune('a'+i/40))] = strings.Repeat("ß", models.MaxMetadataValue)
	}
	require.Len(t, full, models.MaxMetadataPairs)
	for key := range full {
		if len([]rune(key)) > models.MaxMetadataKey {
			delete(full, key)
		}
	}
	require.NoError(t, check(nil))
	require.NoError(t, check(full))
	for name, bad := range map[string]models.Metadata{
		"long key":    {strings.Repeat("k", 41): ""},
		"empty key":   {"": "v"},
		"long value":  {"k": strings.Repeat("v", 501)},
		"NUL":         {"k": "a\x00b"},
		"control key": {"a\nb": "v"},
	} {
		require.Equal(t, errs.ValidationFailed, errs.CodeOf(check(bad)), name)
	}
}

func TestCurrencyExponents(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{"USD": 2, "JPY": 0, "KWD": 3, "CLF": 4, "IQD": 3} {
		exponent, known := models.CurrencyExponent(code)
		require.True(t, known, code)
		require.Equal(t, want, exponent, code)
	}
	for _, code := range []string{"", "usd", "XXX", "US", "USDT"} {
		_, known := models.CurrencyExponent(code)
		require.False(t, known, code)
	}
}
