package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/dbtest"
	"github.com/txn-service/txn/pkg/telemetry/telemetrytest"
)

// abuses are how many tests share the time of a long run.
const abuses = 6

// mostMemory is what an API may ever have in memory, in MiB, whatever is done to
// it: three quarters of what the chart gives it.
const mostMemory = 192

// builtIn is where buildAPI put it, nil until a test needed it.
var builtIn atomic.Pointer[string]

// buildAPI builds the program as it is released, once per test binary: the race
// detector keeps several bytes for each, and its figures say nothing about memory.
var buildAPI = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "txn-api-")
	if err != nil {
		return "", err
	}
	builtIn.Store(&dir)
	program := filepath.Join(dir, "api")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// siege is an API that one tenant abuses while another one, the bystander, goes on
// moving money.
type siege struct {
	t        *testing.T
	url      string
	database string
	process  *process
	attacker *customer

	served  atomic.Int64
	stop    func()
	slowest atomic.Int64 // of the bystander's requests, in nanoseconds
}

// customer is a business with two accounts.
type customer struct {
	*client
	accounts [2]string
}

// customer makes another one.
func (s *siege) customer() *customer {
	s.t.Helper()
	one := &customer{client: newClient(s.t, issueKey(s.t, s.database))}
	for i, name := range []string{"a", "b"} {
		one.accounts[i] = openAccount(s.t, one.client, s.url, name, 1_000_000)
	}
	return one
}

// besiege starts an API and the bystander, who makes one transfer after the other.
func besiege(t *testing.T, environment ...string) *siege {
	t.Helper()
	program, err := buildAPI()
	require.NoError(t, err)
	base := dbtest.New(t)
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), append([]string{
		"TXN_DATABASE_URL=" + base.URL, "TXN_SECURITY_ENCRYPTION_KEYS=" + encryptionKey, "TXN_WEBHOOKS_ALLOW_INSECURE=true",
		"TXN_API_LISTEN=127.0.0.1:0", "TXN_API_ADMIN_LISTEN=", "TXN_RATE_LIMIT_PER_IP=",
	}, environment...)...)
	s := &siege{t: t, database: base.URL, process: launch(t, command)}
	s.url = s.process.url
	s.attacker = s.customer()
	bystander := s.customer()
	body := fmt.Sprintf(`{"type":"transfer","source_account_id":%q,"destination_account_id":%q,"amount":1}`, bystander.accounts[0], bystander.accounts[1])
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			status, _, answer, err := bystander.call("POST", s.url+"/v1/transactions", "stand-by-"+strconv.Itoa(n), body)
			if err != nil || status != http.StatusCreated {
				t.Errorf("the bystander's transfer %d: %d %s %v", n, status, answer, err)
				return
			}
			s.served.Add(1)
			s.slowest.Store(max(s.slowest.Load(), int64(time.Since(began))))
		}
	}()
	s.stop = sync.OnceFunc(func() { close(stop); <-ended })
	t.Cleanup(s.stop)
	return s
}

// goOn abuses once, and in a long run again and again: what one round leaves behind
// adds up.
func (s *siege) goOn(round func(n int)) {
	s.t.Helper()
	for n, started := 0, time.Now(); ; n++ {
		round(n)
		s.requireService()
		if time.Since(started) >= *soak/abuses {
			return
		}
	}
}

// requireService waits until the bystander has been served some more.
func (s *siege) requireService() {
	s.t.Helper()
	served := s.served.Load()
	require.Eventually(s.t, func() bool { return s.served.Load() >= served+20 }, 20*time.Second, time.Millisecond,
		"others are not served")
}

// lift ends the siege and looks at what it has cost.
func (s *siege) lift() {
	s.t.Helper()
	s.stop()
	peak := telemetrytest.Resident(s.t, s.process.command.Process.Pid, "VmHWM") >> 20
	s.t.Logf("%d MiB at most; %d transfers of the bystander, the slowest in %s", peak, s.served.Load(), time.Duration(s.slowest.Load()))
	require.Less(s.t, peak, mostMemory)
}

// dial opens a connection and sends text on it.
func (s *siege) dial(text string) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		return nil, err
	}
	_, err = connection.Write([]byte(text))
	return connection, err
}
