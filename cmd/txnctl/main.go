// Command txnctl operates txn: it migrates the schema, keeps businesses and
// their API keys, replays webhooks and runs everything on a developer's machine.
// It works on the database directly, with the configuration of the services.
//
// Results go to standard output, everything else to standard error. Exit codes:
// 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal stops in order; a second one, no longer caught, at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := &session{in: stdin, out: stdout, err: stderr, terminal: isTerminal(stdin), width: terminalWidth(stdout)}
	return execute(ctx, s, args)
}

func execute(ctx context.Context, s *session, args []string) int {
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(s.err, "txnctl: %s\n", describe(err))
	var wrong *usageError
	if errors.As(err, &wrong) {
		printUsageHint(s.err, command)
	}
	return exitCode(err)
}

func printUsageHint(out io.Writer, command *cobra.Command) {
	fmt.Fprintf(out, "Run '%s --help' for usage.\n", command.CommandPath())
}
