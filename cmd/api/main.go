// Command api serves txn's HTTP API. Any number of them may run side by side on
// one PostgreSQL and one Redis (or none).
//
//	api [--config api.yaml] [--version] [--healthcheck /livez]
//
// Every setting can be given by a TXN_* environment variable; configs/api.yaml
// documents them. SIGTERM and SIGINT finish the requests in flight and exit 0.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/txn-service/txn/pkg/build"
	"github.com/txn-service/txn/pkg/config"
	"github.com/txn-service/txn/pkg/healthcheck"
	"github.com/txn-service/txn/pkg/memory"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// memoryLimit keeps a burst of large batches from multiplying in memory, in bytes.
const memoryLimit = 96 << 20

func main() {
	file := flag.String("config", "", "YAML `file` with settings; TXN_* variables win over it")
	version := flag.Bool("version", false, "print the version and exit")
	health := flag.String("healthcheck", "", "ask the running process for `/livez or /readyz` and exit 0 or 1")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "api: unexpected argument %q\n", flag.Arg(0))
		os.Exit(exitUsage)
	}
	if *version {
		fmt.Println("api", build.Current().Version)
		return
	}
	if *health != "" {
		if err := checkHealth(*file, *health); err != nil {
			fmt.Fprintln(os.Stderr, "api:", err)
			os.Exit(exitFailed)
		}
		return
	}
	memory.Tune(memoryLimit)
	// The first signal drains; a second one, no longer caught, ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := load(ctx, *file); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(exitFailed)
	}
}

func load(ctx context.Context, file string) error {
	settings, err := config.Load(file)
	if err != nil {
		return err
	}
	return run(ctx, settings, os.Stdout, func(addresses) {})
}

// checkHealth asks the process that runs with the same configuration.
func checkHealth(file, path string) error {
	settings, err := config.Load(file)
	if err != nil {
		return err
	}
	return healthcheck.Ask(context.Background(), settings.API.Listen, path)
}
