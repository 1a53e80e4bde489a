package wire_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/wire"
)

func TestParseTimeReadsRFC3339AndNothingElse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"2026-01-31T12:00:00Z":                time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		"2026-01-31T12:00:00.123456789+05:30": time.Date(2026, 1, 31, 6, 30, 0, 123_456_789, time.UTC),
		"2024-02-29T00:00:00-14:00":           time.Date(2024, 2, 29, 14, 0, 0, 0, time.UTC),
	} {
		at, err := wire.ParseTime(text)
		require.NoError(t, err, text)
		require.Equal(t, want, at, text)
	}
	for _, text := range []string{
		"", "now", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-31T1:00:00Z",
		"2026-01-31T12:00:00,5Z", "2026-01-31T12:00:00+99:00", "2026-01-31T12:00:00+00:60", "2026-01-31T24:00:00Z", " 2026-01-31T12:00:00Z",
	} {
		_, err := wire.ParseTime(text)
		require.Error(t, err, text)
	}
}
