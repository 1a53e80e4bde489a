package stack

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/txn-service/txn/pkg/devstack"
)

const (
	readyTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
	readyPoll    = 20 * time.Millisecond
	probeTimeout = time.Second
)

// Names of the services, as their peak memory is reported.
const (
	APIName        = "api"
	DispatcherName = "dispatcher"
)

// EncryptionKey encrypts signing secrets in every database of the benchmark,
// which exist no longer than this process. It is public and protects nothing.
var EncryptionKey = []byte("benchmark-benchmark-benchmark-32")

// Service is a process of the service.
type Service struct {
	// URL is where the API serves, without a slash at the end; empty for a
	// dispatcher.
	URL string
	// AdminURL is where health and metrics are.
	AdminURL string

	name    string
	stack   *Stack
	process *process
	log     string
}

// StartAPI starts an API and returns when it is ready. extra are environment
// variables beyond those that every service gets; without any of them there is
// no rate limit and no Redis.
func (s *Stack) StartAPI(ctx context.Context, databaseURL string, extra ...string) (*Service, error) {
	public, admin, err := twoAddresses()
	if err != nil {
		return nil, err
	}
	service := &Service{URL: "http://" + public, AdminURL: "http://" + admin, name: APIName, stack: s}
	env := append([]string{"TXN_API_LISTEN=" + public, "TXN_API_ADMIN_LISTEN=" + admin, "TXN_API_PPROF=true", "TXN_RATE_LIMIT_PER_IP="}, extra...)
	return service, service.start(ctx, databaseURL, service.URL, env)
}

// StartDispatcher starts a dispatcher and returns when it is ready. extra are
// environment variables beyond those that every service gets.
func (s *Stack) StartDispatcher(ctx context.Context, databaseURL string, extra ...string) (*Service, error) {
	_, admin, err := twoAddresses()
	if err != nil {
		return nil, err
	}
	service := &Service{AdminURL: "http://" + admin, name: DispatcherName, stack: s}
	env := append([]string{"TXN_DISPATCHER_ADMIN_LISTEN=" + admin}, extra...)
	return service, service.start(ctx, databaseURL, service.AdminURL, env)
}

func (v *Service) start(ctx context.Context, databaseURL, healthURL string, env []string) error {
	path, err := v.stack.bin.product(ctx, v.name)
	if err != nil {
		return err
	}
	log, err := os.CreateTemp(v.stack.dir, v.name+"-*.log")
	if err != nil {
		return err
	}
	defer log.Close()
	v.log = log.Name()
	v.process, err = startProcess(path, append(environment(databaseURL), env...), log)
	if err != nil {
		return fmt.Errorf("starting %s: %w", v.name, err)
	}
	v.stack.mu.Lock()
	v.stack.services = append(v.stack.services, v)
	v.stack.mu.Unlock()
	return v.awaitReady(ctx, healthURL+"/readyz")
}

// environment is what every service gets: nothing of the caller's TXN_*
// variables, defaults for all that is not named.
func environment(databaseURL string) []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TXN_") {
			env = append(env, variable)
		}
	}
	return append(env,
		"TXN_DATABASE_URL="+databaseURL,
		"TXN_SECURITY_ENCRYPTION_KEYS="+base64.StdEncoding.EncodeToString(EncryptionKey),
		"TXN_WEBHOOKS_ALLOW_INSECURE=true",
	)
}

func (v *Service) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for !isReady(ctx, url) {
		select {
		case <-v.process.done:
			return fmt.Errorf("%s ended: %w; its log ends with:\n%s", v.name, v.process.err, v.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its log ends with:\n%s", v.name, ctx.Err(), v.logTail())
		case <-time.After(readyPoll):
		}
	}
	return nil
}

func isReady(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Stop notes the peak memory and ends the process in order; it is killed if it
// takes longer than 30 s. Stop may be called more than once.
func (v *Service) Stop(ctx context.Context) error {
	v.notePeak()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := v.process.stop(ctx); err != nil {
		return fmt.Errorf("stopping %s: %w; its log ends with:\n%s", v.name, err, v.logTail())
	}
	return nil
}

func (v *Service) logTail() string {
	const kept = 2000
	text, err := os.ReadFile(filepath.Clean(v.log))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-kept):])
}

func twoAddresses() (first, second string, err error) {
	ports := [2]int{}
	for i := range ports {
		if ports[i], err = devstack.FreePort(); err != nil {
			return "", "", err
		}
	}
	if ports[0] == ports[1] {
		return twoAddresses()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])), net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1])), nil
}
