// Command bench measures txn beside yardsticks in one run and prints the ratios:
//
//	go run . [-duration 5s] [-rounds 3] [-only name,…] [-events 40000] [-stored 1000000] [-endpoints 10000]
//	         [-backlog 100000] [-pending 1000000] [-postgres name=value,…] [-o table|json] [-profile DIR] [-keep] [-list]
//
// It starts a PostgreSQL with default durability, a Redis and the service's
// binaries for itself, on the loopback and in temporary directories, and ends
// all of them, also on Ctrl-C. README.md explains the method and the figures.
//
// Exit codes: 0 measured, whether or not the goals are met; 1 something failed;
// 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/txn-service/txn/bench/internal/load"
	"github.com/txn-service/txn/bench/internal/report"
	"github.com/txn-service/txn/bench/internal/scenario"
	"github.com/txn-service/txn/bench/internal/stack"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// closeTimeout bounds the clean-up.
const closeTimeout = time.Minute

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }

func execute(args []string, out, progress io.Writer) (code int) {
	settings, err := parse(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return exitUsage
	}
	// Not stopped after the first signal: a second Ctrl-C must not cut the
	// clean-up short.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, settings, out); err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return exitFailed
	}
	return 0
}

// settings are what the command line says.
type settings struct {
	scenario.Options

	scenarios []scenario.Scenario
	postgres  map[string]string
	list      bool
	json      bool
	keep      bool
}

// parse reads the command line; out gets the progress and the help.
func parse(args []string, out io.Writer) (settings, error) {
	s := settings{Options: scenario.Options{Progress: out}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.DurationVar(&s.Duration, "duration", 5*time.Second, "length of one run of a load, in whole seconds")
	flags.IntVar(&s.Rounds, "rounds", 3, "runs of each scenario, alternating")
	flags.IntVar(&s.Events, "events", 40_000, "backlog of the drain scenarios")
	flags.IntVar(&s.Stored, "stored", 1_000_000, "transactions stored before filled; the goal is meant for 10000000")
	flags.IntVar(&s.Endpoints, "endpoints", 10_000, "endpoints of broadcast")
	flags.IntVar(&s.Backlog, "backlog", 100_000, "deliveries that wait for the endpoint of blackhole")
	flags.IntVar(&s.Pending, "pending", 1_000_000, "deliveries that wait in pending")
	flags.StringVar(&s.ProfileDir, "profile", "", "save a CPU profile of the API under the uniform load in this `directory`")
	flags.Func("postgres", "comma-separated `settings` of PostgreSQL beyond its defaults, such as max_wal_size=8GB", func(text string) error {
		s.postgres = make(map[string]string)
		for setting := range strings.SplitSeq(text, ",") {
			name, value, found := strings.Cut(setting, "=")
			if !found {
				return fmt.Errorf("%q is not name=value", setting)
			}
			s.postgres[name] = value
		}
		return nil
	})
	only := flags.String("only", "", "comma-separated `names` of scenarios; their yardsticks run too")
	format := flags.String("o", "table", "output: table or json")
	flags.BoolVar(&s.keep, "keep", false, "leave the services' logs behind")
	flags.BoolVar(&s.list, "list", false, "list the scenarios and exit")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	var err error
	s.scenarios, err = scenario.Select(names)
	s.json = *format == "json"
	switch {
	case err != nil:
		return s, err
	case flags.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case s.Duration < time.Second || s.Duration%time.Second != 0:
		return s, errors.New("-duration must be whole seconds, at least 1s")
	case s.Rounds < 1:
		return s, errors.New("-rounds must be at least 1")
	case min(s.Events, s.Stored, s.Backlog, s.Pending) < minEvents:
		return s, fmt.Errorf("-events, -stored, -backlog and -pending must be at least %d", minEvents)
	case s.Endpoints < minEndpoints:
		return s, fmt.Errorf("-endpoints must be at least %d", minEndpoints)
	case *format != "table" && *format != "json":
		return s, fmt.Errorf("-o is table or json, not %q", *format)
	}
	return s, nil
}

const (
	// minEvents gives every endpoint of a backlog something, in the warm-up too.
	minEvents = 2000
	// minEndpoints is more than the product allows unless it is told to.
	minEndpoints = 60
)

// run measures and writes the report to out.
func run(ctx context.Context, s settings, out io.Writer) (err error) {
	if s.list {
		return list(s.scenarios, out)
	}
	receiver, err := load.NewReceiver()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, receiver.Close()) }()

	servers, err := stack.Start(ctx, stack.Options{Progress: s.Progress, Keep: s.keep, Postgres: s.postgres})
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, servers.Close(ctx))
	}()
	if err != nil {
		return err
	}
	measured, err := scenario.New(servers, receiver, s.Options).Run(ctx, s.scenarios)
	if err != nil {
		return err
	}
	measured.Machine.Settings = s.postgres
	if s.json {
		err = measured.WriteJSON(out)
	} else {
		err = measured.WriteTable(out)
	}
	return errors.Join(err, failures(measured))
}

// failures is an error when a scenario broke.
func failures(measured *report.Report) error {
	var names []string
	for _, missing := range measured.Missing {
		if missing.Failed {
			names = append(names, missing.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("failed: %s", strings.Join(names, ", "))
}
