package load

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const pgbenchReport = `pgbench (15.4)
transaction type: raw_uniform.pgbench
scaling factor: 1
query mode: prepared
number of clients: 16
number of threads: 2
duration: 8 s
number of transactions actually processed: 40397
number of failed transactions: 0 (0.000%)
latency average = 3.166 ms
initial connection time = 20.123 ms
tps = 5053.123456 (without initial connection time)
`

func TestParsePgbench(t *testing.T) {
	t.Parallel()
	sample, err := parsePgbench(pgbenchReport)
	require.NoError(t, err)
	require.Equal(t, Sample{Rate: 5053.123456, Done: 40397}, sample)
}

func TestParsePgbenchRefuses(t *testing.T) {
	t.Parallel()
	for name, report := range map[string]string{
		"nothing":      "",
		"no rate":      "number of transactions actually processed: 40397\n",
		"failed":       "number of transactions actually processed: 9\nnumber of failed transactions: 3 (25%)\ntps = 1.0 (without initial connection time)\n",
		"no count":     "tps = 1.0 (without initial connection time)\n",
		"other format": "tps = 1.0 (including connections establishing)\nnumber of transactions actually processed: 9\n",
	} {
		_, err := parsePgbench(report)
		require.Error(t, err, name)
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	require.Zero(t, Percentile(nil, 50))
	latencies := []time.Duration{5, 1, 4, 2, 3}
	require.Equal(t, time.Duration(3), Percentile(latencies, 50))
	require.Equal(t, time.Duration(5), Percentile(latencies, 99))
	require.Equal(t, time.Duration(1), Percentile(latencies, 0))
	require.Equal(t, time.Duration(7), Percentile([]time.Duration{7}, 50))
}

func TestReadLatencies(t *testing.T) {
	t.Parallel()
	prefix := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(prefix+".123", []byte("0 1 842 0 1700000000 123456\n0 2 790 0 1700000000 124300\n"), 0o600))
	require.NoError(t, os.WriteFile(prefix+".123.1", []byte("1 1 1100 0 1700000000 123456\n"), 0o600))
	latencies, err := readLatencies(prefix)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{842 * time.Microsecond, 790 * time.Microsecond, 1100 * time.Microsecond}, latencies)

	require.NoError(t, os.WriteFile(prefix+".124", []byte("garbage\n"), 0o600))
	_, err = readLatencies(prefix)
	require.Error(t, err)
}

func TestSecondsRoundsUp(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1", seconds(time.Millisecond))
	require.Equal(t, "2", seconds(2*time.Second))
	require.Equal(t, "3", seconds(2001*time.Millisecond))
}
