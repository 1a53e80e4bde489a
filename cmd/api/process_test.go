package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	txn "github.com/txn-service/txn/pkg/client"
	"github.com/txn-service/txn/pkg/disclosure"
)

// process is a real API process. Neither what it writes nor its command line may
// tell a secret.
type process struct {
	url     string
	command *exec.Cmd
	exited  chan error
	written buffer
	// silent is closed when nothing more will be written.
	silent chan struct{}
}

// spawn starts a process and waits until it listens.
func spawn(t *testing.T, databaseURL string, environment ...string) *process {
	t.Helper()
	return launch(t, program(t, append([]string{
		"TXN_DATABASE_URL=" + databaseURL, "TXN_SECURITY_ENCRYPTION_KEYS=" + encryptionKey,
		"TXN_API_LISTEN=127.0.0.1:0", "TXN_API_ADMIN_LISTEN=", "TXN_RATE_LIMIT_PER_IP=",
	}, environment...)))
}

// launch starts an API and waits until it listens.
func launch(t *testing.T, command *exec.Cmd) *process {
	t.Helper()
	require.NoError(t, disclosure.Record(encryptionKey))
	p := &process{command: command, exited: make(chan error, 1), silent: make(chan struct{})}
	p.command.Stderr = io.MultiWriter(os.Stderr, &p.written)
	out, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	listening := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(out, &p.written))
		for lines.Scan() {
			var line struct{ Message, API string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
				listening <- "http://" + line.API
			}
		}
		p.exited <- p.command.Wait()
		close(p.silent)
	}()
	t.Cleanup(func() {
		p.kill()
		<-p.silent
		require.Empty(t, disclosure.In(p.written.String()), "the process has written secrets")
	})
	select {
	case p.url = <-listening:
	case err := <-p.exited:
		require.FailNow(t, "the process ended", "%v", err)
	case <-time.After(30 * time.Second):
		require.FailNow(t, "the process does not listen")
	}
	require.Empty(t, disclosure.InCommandLines(p.command.Process.Pid), "everybody sees secrets")
	return p
}

// kill ends the process as a crash would.
func (p *process) kill() { _ = p.command.Process.Signal(syscall.SIGKILL) }

// client calls the API with one key.
type client struct {
	key  string
	http *http.Client
}

// at calls the API at url as tenants' programs do, and sends nothing twice unless it is
// told to.
func (c *client) at(t *testing.T, url string, options ...txn.Option) *txn.Client {
	t.Helper()
	api, err := txn.New(url, c.key, append([]txn.Option{txn.WithHTTPClient(c.http), txn.WithRetries(0)}, options...)...)
	require.NoError(t, err)
	return api
}

// call returns the status and body of an answer, or an error when there was
// none.
func (c *client) call(method, url, idempotencyKey, body string) (int, http.Header, []byte, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	res, err := c.http.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode < http.StatusBadRequest {
		err = disclosure.Learn(string(text))
	}
	return res.StatusCode, res.Header, text, err
}
