package main

import (
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/txn-service/txn/cmd/txnctl/bench"
	"github.com/txn-service/txn/pkg/apikey"
	"github.com/txn-service/txn/pkg/models"
)

// The values that a shell may offer for a flag, by command and name. What is not
// here gets none: a file's name would be the wrong thing to offer.
var flagValues = map[string]map[string][]string{
	"txnctl":                  {"output": {string(formatTable), string(formatJSON), string(formatYAML)}},
	"txnctl bench":            {"mode": texts(bench.Modes())},
	"txnctl business list":    {"status": {string(models.BusinessActive), string(models.BusinessSuspended)}},
	"txnctl key issue":        {"scopes": texts(apikey.AllScopes())},
	"txnctl ledger statement": {"output": {string(formatTable), string(formatJSON), string(formatYAML), string(formatCSV), string(formatNDJSON)}},
	"txnctl webhook replay":   {"event-types": texts(models.EventTypes)},
}

// Flags that name a file or a directory.
var (
	fileFlags      = []string{"config", "key-file"}
	directoryFlags = []string{"data-dir"}
)

func texts[T ~string](values []T) []string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = string(value)
	}
	return list
}

// complete teaches every command below what its flags and arguments may be.
func complete(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = cobra.NoFileCompletions // arguments are ids
	}
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		offer := cobra.NoFileCompletions
		switch values := flagValues[cmd.CommandPath()][flag.Name]; {
		case values != nil:
			offer = cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
		case slices.Contains(fileFlags, flag.Name):
			offer = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
		case slices.Contains(directoryFlags, flag.Name):
			offer = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
		}
		// It refuses only flags that do not exist or are taught already.
		_ = cmd.RegisterFlagCompletionFunc(flag.Name, offer)
	})
	for _, sub := range cmd.Commands() {
		complete(sub)
	}
}

// shells generate the completion script of a shell for the root command.
var shells = map[string]struct {
	generate func(root *cobra.Command, out io.Writer) error
	install  string
}{
	"bash": {
		func(root *cobra.Command, out io.Writer) error { return root.GenBashCompletionV2(out, true) },
		"  txnctl completion bash > /etc/bash_completion.d/txnctl",
	},
	"zsh": {
		func(root *cobra.Command, out io.Writer) error { return root.GenZshCompletion(out) },
		"  txnctl completion zsh > \"${fpath[1]}/_txnctl\"",
	},
	"fish": {
		func(root *cobra.Command, out io.Writer) error { return root.GenFishCompletion(out, true) },
		"  txnctl completion fish > ~/.config/fish/completions/txnctl.fish",
	},
	"powershell": {
		func(root *cobra.Command, out io.Writer) error { return root.GenPowerShellCompletionWithDesc(out) },
		"  txnctl completion powershell >> $PROFILE",
	},
}

// newCompletion is cobra's own command, with examples and our exit codes.
func newCompletion(s *session) *cobra.Command {
	var commands []*cobra.Command
	for _, name := range slices.Sorted(maps.Keys(shells)) {
		shell := shells[name]
		commands = append(commands, &cobra.Command{
			Use: name, Short: "Write the completion script for " + name,
			Long: "Write the script that lets " + name + ` complete commands, flags and their values. Install it once, and
again after an upgrade; it works from the next shell on.`,
			Example: shell.install,
			Args:    exactly(0),
			RunE:    func(cmd *cobra.Command, _ []string) error { return shell.generate(cmd.Root(), s.out) },
		})
	}
	return newGroup("completion", "Write a completion script for a shell",
		"Write the script that lets a shell complete commands, flags and their values.", commands...)
}
