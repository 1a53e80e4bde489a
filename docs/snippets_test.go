package docs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/webhook"
)

// TestReceiversVerify starts each program of docs/snippets and sends it what txn
// would, and what an attacker might.
func TestReceiversVerify(t *testing.T) {
	t.Parallel()
	for name, interpreter := range map[string]string{"verify.go": "go", "verify.py": "python3", "verify.mjs": "node"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(interpreter); err != nil {
				t.Skipf("%s is not installed: %s is not tested", interpreter, name)
			}
			secret := bytes.Repeat([]byte("secret!"), 4)
			r := startReceiver(t, name, webhook.FormatSecret(secret))
			signed := func(at time.Time, secrets ...[]byte) delivery {
				d := delivery{id: models.NewID[models.EventPrefix](), at: at}
				d.body = `{"id":"` + d.id.String() + `","type":"transaction.created","data":{"description":"Caffè & <b>"}}`
				signers := make([]webhook.Secret, len(secrets))
				for i, bytes := range secrets {
					signers[i] = webhook.Secret{Bytes: bytes}
				}
				d.signature = webhook.NewSigner(signers...).Sign(d.id, at, []byte(d.body))
				return d
			}
			now, other := time.Now(), bytes.Repeat([]byte("another"), 4)

			good := signed(now, secret)
			r.accepts(good, "as it is")
			r.says("verified transaction.created " + good.id.String())
			r.accepts(signed(now, other, secret), "during a rotation both sign, here the old one last")
			r.accepts(signed(now, secret, other), "during a rotation both sign, here the new one last")
			r.accepts(signed(now.Add(-4*time.Minute), secret), "it was under way for a while")
			r.accepts(signed(now.Add(4*time.Minute), secret), "clocks differ")
			extended := signed(now, secret)
			extended.signature = "v1a,AAAA v2," + base64.StdEncoding.EncodeToString(other) + " " + extended.signature
			r.accepts(extended, "signatures of other versions are passed over")

			r.refuses(signed(now, other), "another secret")
			r.refuses(signed(now.Add(-6*time.Minute), secret), "it is old: somebody sends it again")
			r.refuses(signed(now.Add(6*time.Minute), secret), "it comes from the future")
			for what, tamper := range map[string]func(*delivery){
				"another body":             func(d *delivery) { d.body = strings.Replace(d.body, "created", "removed", 1) },
				"a space more":             func(d *delivery) { d.body += " " },
				"no body":                  func(d *delivery) { d.body = "" },
				"another id":               func(d *delivery) { d.id = models.NewID[models.EventPrefix]() },
				"another time":             func(d *delivery) { d.at = d.at.Add(time.Second) },
				"no signature":             func(d *delivery) { d.signature = "" },
				"no version":               func(d *delivery) { d.signature = strings.TrimPrefix(d.signature, "v1,") },
				"another version":          func(d *delivery) { d.signature = strings.Replace(d.signature, "v1,", "v2,", 1) },
				"no base64":                func(d *delivery) { d.signature = "v1,§%&" },
				"an empty signature":       func(d *delivery) { d.signature = "v1," },
				"half a signature":         func(d *delivery) { d.signature = d.signature[:20] },
				"time that is no number":   func(d *delivery) { d.timestamp = "now" },
				"time with something else": func(d *delivery) { d.timestamp = strconv.FormatInt(d.at.Unix(), 10) + ".5" },
				"time that is huge":        func(d *delivery) { d.timestamp = strings.Repeat("9", 30) },
			} {
				d := signed(now, secret)
				tamper(&d)
				r.refuses(d, what)
			}
			r.accepts(signed(now, secret), "all that did no harm")
		})
		t.Run(name+" without a secret", func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(interpreter); err != nil {
				t.Skipf("%s is not installed: %s is not tested", interpreter, name)
			}
			r := startReceiver(t, name, "")
			d := delivery{id: models.NewID[models.EventPrefix](), at: time.Now(), body: "{}"}
			d.signature = webhook.NewSigner(webhook.Secret{}).Sign(d.id, d.at, []byte(d.body))
			r.refuses(d, "everybody can sign with an empty secret")
		})
	}
}

// delivery is a request to a receiver.
type delivery struct {
	id              models.EventID
	at              time.Time
	timestamp       string // instead of at
	body, signature string
}

// receiver is a program of docs/snippets.
type receiver struct {
	t      *testing.T
	url    string
	output output
}

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

func startReceiver(t *testing.T, name, secret string) *receiver {
	t.Helper()
	file := filepath.Join(root, "docs", "snippets", name)
	command := []string{"node", file}
	switch filepath.Ext(name) {
	case ".py":
		command = []string{"python3", file}
	case ".go":
		binary := filepath.Join(t.TempDir(), "receiver")
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, file).CombinedOutput()
		require.NoError(t, err, string(out))
		command = []string{binary}
	}
	r := &receiver{t: t}
	process := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...)
	process.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret, "ADDRESS=127.0.0.1:0")
	process.Stdout, process.Stderr = &r.output, &r.output
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		_ = process.Wait()
		if t.Failed() {
			t.Log(r.output.String())
		}
	})
	require.Eventually(t, func() bool { return listening.MatchString(r.output.String()) }, time.Minute, 10*time.Millisecond, "%s", name)
	r.url = "http://" + listening.FindStringSubmatch(r.output.String())[1] + "/"
	return r
}

func (r *receiver) send(d delivery) int {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url, strings.NewReader(d.body))
	require.NoError(r.t, err)
	if d.timestamp == "" {
		d.timestamp = strconv.FormatInt(d.at.Unix(), 10)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(webhook.HeaderID, d.id.String())
	request.Header.Set(webhook.HeaderTimestamp, d.timestamp)
	request.Header.Set(webhook.HeaderSignature, d.signature)
	response, err := http.DefaultClient.Do(request)
	require.NoError(r.t, err)
	response.Body.Close()
	return response.StatusCode
}

func (r *receiver) accepts(d delivery, why string) {
	r.t.Helper()
	require.Equal(r.t, http.StatusNoContent, r.send(d), why)
}

func (r *receiver) refuses(d delivery, why string) {
	r.t.Helper()
	require.Equal(r.t, http.StatusBadRequest, r.send(d), why)
}

func (r *receiver) says(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.output.String(), text) }, time.Minute, 10*time.Millisecond, text)
}

// TestWebhooksPageShowsTheReceivers: what docs/webhooks.md shows of a program is in it.
func TestWebhooksPageShowsTheReceivers(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, b := range readPage(t, "docs/webhooks.md").blocks {
		name, isSnippet := strings.CutPrefix(b.mark, "from: ")
		if !isSnippet {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, "docs", "snippets", name))
		require.NoError(t, err)
		require.Contains(t, string(text), b.text, "docs/webhooks.md:%d", b.line)
		shown++
	}
	require.Equal(t, 3, shown)
}
