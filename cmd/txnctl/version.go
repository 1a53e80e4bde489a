package main

import (
	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/build"
)

var versionView = view[build.Info]{
	shape: func(i build.Info) any { return i },
	columns: []column[build.Info]{
		{title: "VERSION", cell: func(i build.Info) string { return i.Version }},
		{title: "COMMIT", cell: func(i build.Info) string { return i.Commit }},
		{title: "DATE", cell: func(i build.Info) string { return i.Date }},
		{title: "GO", cell: func(i build.Info) string { return i.Go }},
		{title: "PLATFORM", cell: func(i build.Info) string { return i.Platform }},
	},
}

func newVersion(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Show which build this is",
		Long:    "Show which build this is: version, commit, its date, toolchain and platform.",
		Example: "  txnctl version -o json",
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			return printOne(s, versionView, build.Current())
		},
	}
}
