package load

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Percentile returns the p-th percentile by nearest rank, 0 of nothing. It sorts
// the latencies.
func Percentile(latencies []time.Duration, p float64) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	slices.Sort(latencies)
	rank := int(math.Ceil(p / 100 * float64(len(latencies))))
	return latencies[min(max(rank, 1), len(latencies))-1]
}

// readLatencies reads pgbench's transaction logs: the third column is the
// latency in microseconds.
func readLatencies(prefix string) ([]time.Duration, error) {
	files, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var latencies []time.Duration
	for _, file := range files {
		if latencies, err = appendLatencies(latencies, file); err != nil {
			return nil, fmt.Errorf("pgbench log: %w", err)
		}
	}
	return latencies, nil
}

func appendLatencies(latencies []time.Duration, file string) ([]time.Duration, error) {
	log, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		columns := strings.Fields(lines.Text())
		if len(columns) < 3 {
			return nil, fmt.Errorf("unexpected line %q", lines.Text())
		}
		micros, err := strconv.ParseInt(columns[2], 10, 64)
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Duration(micros)*time.Microsecond)
	}
	return latencies, lines.Err()
}
