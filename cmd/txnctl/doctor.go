package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/cmd/txnctl/doctor"
)

// examination is what txnctl doctor found.
type examination struct {
	Checks []doctor.Finding `json:"checks"`
}

var findingView = view[doctor.Finding]{columns: []column[doctor.Finding]{
	{title: "CHECK", cell: func(f doctor.Finding) string { return f.Name }},
	{title: "STATE", cell: func(f doctor.Finding) string { return string(f.Status) }},
	{title: "DETAIL", cell: func(f doctor.Finding) string { return f.Detail }, wrap: true},
	{title: "WHAT TO DO", cell: func(f doctor.Finding) string { return f.Advice }, wrap: true},
}}

func newDoctor(s *session) *cobra.Command {
	var options doctor.Options
	cmd := &cobra.Command{
		Use: "doctor", Short: "Examine the installation and say what to do",
		Long: `Examine the installation and say for each finding what to do: the configuration,
PostgreSQL (durability, connections, schema, clock, transactions, indexes, vacuum),
Redis, the encryption of signing secrets, dispatchers and holds. It changes nothing.

A check is ok, a warning (warn: it works and should be changed), a failure (fail: it
does not work, or risks money), or skipped because of another. The exit code is 1
when anything fails. Run it where the services run, with their configuration: what
it says about that, and about clocks and connections, is as seen from here.`,
		Example: `  txnctl doctor
  txnctl doctor --config /etc/txn/api.yaml --timeout 10s -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Timeout <= 0 {
				return usagef("--timeout must be positive")
			}
			options.ConfigFile, options.Environment = s.configFile, os.Environ()
			findings := doctor.Examine(cmd.Context(), options)
			if cmd.Context().Err() != nil {
				return errors.New("interrupted")
			}
			return s.reportExamination(findings)
		},
	}
	cmd.Flags().DurationVar(&options.Timeout, "timeout", 5*time.Second, "how long each check may take")
	return cmd
}

var errUnhealthy = errors.New("something fails: see what to do")

func (s *session) reportExamination(findings []doctor.Finding) error {
	if err := s.printFindings(findings); err != nil {
		return err
	}
	if !doctor.Healthy(findings) {
		return errUnhealthy
	}
	return nil
}

func (s *session) printFindings(findings []doctor.Finding) error {
	if s.format != "" && s.format != formatTable {
		return s.printShape(examination{Checks: findings})
	}
	return s.printTable(findingView.grid(findings))
}
