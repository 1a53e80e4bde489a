// Command testrun runs a command, usually `go test`, against a PostgreSQL and a Redis of its own:
//
//	go run ./pkg/devstack/testrun -- go test -race ./...
//
// The command finds them in TXN_TEST_DATABASE_URL and TXN_TEST_REDIS_URL. A variable that is set already is left alone
// and no server is started for it. Missing server binaries are installed where that needs no question. The exit code is
// the command's (128 + n if signal n ended it), 1 if the servers cannot be had or the command printed a secret of the
// tests (see pkg/disclosure), 2 for wrong usage. The servers and all their files are gone when testrun ends, however it
// ends.
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
	"github.com/txn-service/txn/pkg/disclosure"
)

const (
	exitFailed = 1
	exitUsage  = 2
	exitSignal = 128 // plus the signal's number, as shells have it

	stopTimeout = 30 * time.Second
	// outputDelay is how long the output of a command that has ended is waited for.
	outputDelay = 5 * time.Second
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
	code, err := runAndCheck(args, env, signals)
	if err != nil {
		fmt.Fprintln(out, "testrun:", err)
	}
	return code
}

// runAndCheck runs the command and fails if it printed secrets.
func runAndCheck(args, env []string, signals <-chan os.Signal) (code int, err error) {
	printed, err := newTranscript()
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, printed.close()) }()
	code, err = runCommand(args, append(env, disclosure.FileVariable+"="+printed.secrets), printed, signals)
	if leaks := printed.check(); leaks != nil {
		return max(code, exitFailed), errors.Join(err, leaks)
	}
	return code, err
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
func runCommand(args, env []string, printed *transcript, signals <-chan os.Signal) (code int, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = printed.tee(os.Stdout), printed.tee(os.Stderr)
	cmd.WaitDelay = outputDelay
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
	if errors.Is(err, exec.ErrWaitDelay) {
		return 0, nil // the command has succeeded; what it left running still holds its output
	}
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
