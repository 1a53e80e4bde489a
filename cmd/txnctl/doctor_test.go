package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/cmd/txnctl/doctor"
	"github.com/txn-service/txn/pkg/dbtest"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	c := &cli{config: configText(t, fmt.Sprintf("database: {url: %q}\nsecurity: {encryption_keys: [%s]}\n", dbtest.New(t).URL, key))}

	// The server of the tests syncs nothing.
	r := c.run(t, "doctor", "-o", "json")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "something fails")
	var report struct {
		Checks []struct{ Name, Status, Detail, Advice string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	status := map[string]string{}
	for _, check := range report.Checks {
		status[check.Name] = check.Status
	}
	require.Equal(t, "fail", status["postgres.fsync"])
	require.Equal(t, "ok", status["postgres.schema"])
	require.Equal(t, "warn", status["dispatcher.running"])
	require.Equal(t, "skipped", status["redis.reachable"])

	table := c.run(t, "doctor")
	require.Equal(t, exitFailed, table.code)
	require.Regexp(t, `^CHECK\s+STATE\s+DETAIL\s+WHAT TO DO`, table.out)
	require.Regexp(t, `(?m)^postgres.fsync\s+fail\s+off.*ALTER SYSTEM SET fsync = on`, table.out)
	require.Contains(t, c.run(t, "doctor", "-o", "yaml").out, "checks:\n  - name: config.load\n    status: ok\n")
}

func TestDoctorWithoutADatabaseOrASetting(t *testing.T) {
	t.Parallel()
	for _, config := range []string{"", "databse: {url: x}", `database: {url: "postgres://127.0.0.1:1/txn"}`} {
		c := &cli{config: configText(t, config)}
		r := c.run(t, "doctor", "--timeout", "1s")
		require.Equal(t, exitFailed, r.code, "a finding, not a crash and not wrong usage: %s", r.err)
		require.Contains(t, r.out, "skipped")
	}
	c := &cli{config: configText(t, "")}
	require.Equal(t, exitUsage, c.run(t, "doctor", "--timeout", "0s").code)
}

func TestDoctorSucceedsUnlessSomethingFails(t *testing.T) {
	t.Parallel()
	s := &session{out: &output{}, err: &output{}}
	require.NoError(t, s.reportExamination([]doctor.Finding{{Status: doctor.Warn}, {Status: doctor.OK}}))
	require.Error(t, s.reportExamination([]doctor.Finding{{Status: doctor.Warn}, {Status: doctor.Fail}}))
}

// TestDoctorFitsATerminal of the usual width.
func TestDoctorFitsATerminal(t *testing.T) {
	t.Parallel()
	findings := doctor.Examine(t.Context(), doctor.Options{ConfigFile: configFile(t, dbtest.New(t).URL)})
	lines := render(t, 80, findingView.grid(findings))
	require.Regexp(t, `^CHECK\s+STATE\s+DETAIL\s+WHAT TO DO`, lines[0])
	text := strings.Join(lines, "\n")
	for _, f := range findings {
		require.Contains(t, text, f.Name+" ", "a name is never cut")
	}
}
