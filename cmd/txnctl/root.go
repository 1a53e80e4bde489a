package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/txn-service/txn/pkg/build"
)

func newRoot(s *session) *cobra.Command {
	root := newGroup("txnctl", "Operate the txn transaction service", `Operate the txn transaction service.

txnctl works on the database directly, with the configuration of the services:
TXN_DATABASE_URL, or a file named by --config. Results go to standard output,
everything else to standard error.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused.`,
		newMigrate(s), newBusiness(s), newKey(s), newWebhook(s), newLedger(s), newAudit(s), newSecurity(s),
		newDoctor(s), newBench(s), newDev(s), newSmoke(s), newVersion(s), newCompletion(s))
	root.Version = build.Current().Version
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentPreRunE = refuseEmptyFlags
	root.SetHelpCommand(newHelp())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%v", err) })
	flags := root.PersistentFlags()
	flags.StringVar(&s.configFile, "config", "", "configuration `file` (YAML); TXN_* variables win over it")
	flags.VarP(&s.format, "output", "o", "print results as `table|json|yaml`")
	flags.StringVar(&s.operatorName, "operator", "", "`name` for the audit log (default: the user of this machine)")
	flags.BoolVar(&s.yes, "yes", false, "do not ask before destructive commands")
	complete(root)
	return root
}

// newGroup is a command that only holds others: alone it shows them, and
// anything else is a wrong command.
func newGroup(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args:                       cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := ""
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = "; did you mean " + strings.Join(near, ", ") + "?"
			}
			return usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)
		},
	}
	group.AddCommand(commands...)
	return group
}

// exactly takes that many arguments, named as in the command's use.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// requireFlags refuses a command line without the flags.
func requireFlags(cmd *cobra.Command, names ...string) {
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var missing []string
		for _, name := range names {
			if !cmd.Flags().Changed(name) {
				missing = append(missing, "--"+name)
			}
		}
		if len(missing) > 0 {
			return usagef("required: %s", strings.Join(missing, ", "))
		}
		return inner(cmd, args)
	}
}
