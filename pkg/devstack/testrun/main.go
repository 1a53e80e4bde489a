// Command testrun runs a command, usually `go test`, against a PostgreSQL and a Redis of its own:
//
//	go run ./pkg/devstack/testrun -- go test -race ./...
//
// The command finds them in TXN_TEST_DATABASE_URL and TXN_TEST_REDIS_URL. A variable that is set already is left alone
// and no server is started for it. Missing server binaries are installed where that needs no question. The exit code is
// the command's (128 + n if signal n ended it), 1 if the servers cannot be had, 2 for wrong usage. The servers and all
// their files are gone when testrun ends, however it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/txn-service/txn/pkg/devstack"
)

const (
	exitFailed = 1
	exitUsage  = 2
	exitSignal = 128 // plus the signal's number, as shells have it

	stopTimeout = 30 * time.Second
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, out io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(out, "usage: testrun -- command [argument ...]")
		return exitUsage
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	env, closeServers, err := startServers(signals, out)
	defer closeServers()
	if err != nil {
		fmt.Fprintln(out, "testrun:", err)
		return exitFailed
	}
	code, err := runCommand(args, env, signals)
	if err != nil {
		fmt.Fprintln(out, "testrun:", err)
	}
	return code
}

// startServers starts what the environment does not name. A signal in the meantime ends it with an error.
func startServers(signals <-chan os.Signal, out io.Writer) (env []string, closeAll func(), err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ready := make(chan struct{})
	defer close(ready)
	go func() {
		select {
		case received := <-signals:
			cancel(fmt.Errorf("received %v", received))
		case <-ready:
		}
	}()
	var running []closer
	closeAll = func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		for _, server := range running {
			if err := server.Close(ctx); err != nil {
				fmt.Fprintln(out, "testrun:", err)
			}
		}
	}
	for _, wanted := range wantedServers() {
		if os.Getenv(wanted.variable) != "" {
			continue
		}
		if err := devstack.Install(ctx, wanted.software, out); err != nil {
			return nil, closeAll, because(ctx, err)
		}
		server, address, err := wanted.start(ctx)
		if err != nil {
			return nil, closeAll, because(ctx, err)
		}
		running = append(running, server)
		env = append(env, wanted.variable+"="+address)
	}
	return env, closeAll, nil
}

// because names the signal rather than what it interrupted.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

type closer interface {
	Close(ctx context.Context) error
}

type wantedServer struct {
	variable string
	software devstack.Software
	start    func(ctx context.Context) (server closer, address string, err error)
}

func wantedServers() []wantedServer {
	return []wantedServer{
		{"TXN_TEST_DATABASE_URL", devstack.SoftwarePostgres, func(ctx context.Context) (closer, string, error) {
			server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{})
			if err != nil {
				return nil, "", err
			}
			return server, server.URL("postgres"), nil
		}},
		{"TXN_TEST_REDIS_URL", devstack.SoftwareRedis, func(ctx context.Context) (closer, string, error) {
			server, err := devstack.StartRedis(ctx, devstack.RedisOptions{NotifyKeyspaceEvents: "Ex"})
			if err != nil {
				return nil, "", err
			}
			return server, server.URL(), nil
		}},
	}
}

// runCommand passes signals on to all processes of the command: `go test` alone would leave its test binaries running.
// The command has a process group of its own, so that Ctrl-C in a terminal reaches it once.
func runCommand(args, env []string, signals <-chan os.Signal) (code int, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return exitFailed, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case received := <-signals:
			_ = syscall.Kill(-cmd.Process.Pid, received.(syscall.Signal)) // fails only if the command has just ended
		case err := <-ended:
			return exitCode(err)
		}
	}
}

func exitCode(err error) (int, error) {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		if err != nil {
			return exitFailed, err
		}
		return 0, nil
	}
	if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignal + int(status.Signal()), nil
	}
	return ended.ExitCode(), nil
}
