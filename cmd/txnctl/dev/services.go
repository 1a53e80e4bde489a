package dev

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	readyTimeout = time.Minute
	pollInterval = 50 * time.Millisecond
	probeTimeout = 2 * time.Second
)

// passedOn are the settings of the caller's environment that the services get.
// All others are set here: a TXN_DATABASE_URL left over in a shell must not turn
// the demo loose on somebody's database.
var passedOn = []string{"TXN_LEDGER_", "TXN_LOG_", "TXN_WEBHOOKS_"}

// startServices starts dispatcher and API and waits until both are ready.
func (d *stack) startServices(ctx context.Context, binaries string) error {
	apiAdmin, err := chooseListen("127.0.0.1:0")
	if err != nil {
		return err
	}
	dispatcherAdmin, err := chooseListen("127.0.0.1:0")
	if err != nil {
		return err
	}
	env := d.environment(apiAdmin, dispatcherAdmin)
	ready := map[string]string{
		"dispatcher": clientURL(dispatcherAdmin) + "/readyz",
		"api":        clientURL(d.listen) + "/readyz",
	}
	for _, name := range services {
		d.progress("Starting %s …", name)
		p, err := startProcess(name, filepath.Join(binaries, name), filepath.Join(d.DataDir, name+".log"), env)
		if err != nil {
			return err
		}
		d.add(name, p.stop)
		if err := awaitReady(ctx, p, ready[name]); err != nil {
			return err
		}
		d.watch(name, p.done, p.exitError)
	}
	return nil
}

func (d *stack) environment(apiAdmin, dispatcherAdmin string) []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TXN_") || hasAnyPrefix(variable, passedOn) {
			env = append(env, variable)
		}
	}
	return append(env,
		"TXN_DATABASE_URL="+d.databaseURL,
		"TXN_REDIS_URL="+d.redisURL,
		"TXN_API_LISTEN="+d.listen,
		"TXN_API_ADMIN_LISTEN="+apiAdmin,
		"TXN_API_SHUTDOWN_DELAY=0s", // there is no other API to send anybody to
		"TXN_DISPATCHER_ADMIN_LISTEN="+dispatcherAdmin,
		"TXN_RATE_LIMIT_PER_IP="+d.RateLimit,
		"TXN_SECURITY_ENCRYPTION_KEYS="+d.state.EncryptionKey,
		// The receiver is on this machine and has no certificate.
		"TXN_WEBHOOKS_ALLOW_INSECURE=true",
	)
}

func hasAnyPrefix(text string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// awaitReady polls a readiness route until it answers 200.
func awaitReady(ctx context.Context, p *process, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, errors.New("it is not ready after "+readyTimeout.String()))
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if isReady(ctx, url) {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w", p.name, orExited(p.exitError()))
		case <-ctx.Done():
			return fmt.Errorf("starting %s: %w; %s ends with:\n%s", p.name, context.Cause(ctx), p.log, tail(p.log))
		case <-ticker.C:
		}
	}
}

func isReady(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

var errExited = errors.New("it exited by itself")

func orExited(err error) error {
	if err == nil {
		return errExited
	}
	return err
}

// watch makes stay return when a part ends before it was told to. During the
// stop nobody reads any more what it finds.
func (d *stack) watch(name string, done <-chan struct{}, reason func() error) {
	go func() {
		<-done
		d.brokenOnce.Do(func() { d.broken <- fmt.Errorf("%s ended: %w", name, orExited(reason())) })
	}()
}
