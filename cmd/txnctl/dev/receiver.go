package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	maxWebhook     = 1 << 20 // bytes of a body that the receiver reads
	receiverQueue  = 1024    // verified webhooks that wait to be looked at
	headerTimeout  = 5 * time.Second
	receiverPath   = "/webhooks"
	webhookIDField = "webhook-id"
)

// receiver is the endpoint of the demo: it verifies what it gets as any consumer
// of Standard Webhooks does.
type receiver struct {
	server   *http.Server
	url      string
	received chan webhook
	say      func(format string, args ...any)

	mu       sync.Mutex // guards verifier
	verifier *standardwebhooks.Webhook
}

// webhook is a delivery whose signature was good.
type webhook struct {
	id, timestamp, signature string
	kind                     string // event type
	object                   string // id of the object that the event is about
	body                     []byte
}

// startReceiver listens where the last start did, so that its address stays
// valid, or on any other port.
func (d *stack) startReceiver(ctx context.Context) error {
	listener, err := listenAgain(ctx, d.state.WebhookURL)
	if err != nil {
		return fmt.Errorf("starting the webhook receiver: %w", err)
	}
	r := &receiver{
		url: "http://" + listener.Addr().String() + receiverPath, received: make(chan webhook, receiverQueue), say: d.progress,
	}
	if d.state.WebhookSecret != "" {
		if err := r.trust(d.state.WebhookSecret); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+receiverPath, r.receive)
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = r.server.Serve(listener) // until the server is shut down
	}()
	d.add("the webhook receiver", func(ctx context.Context) error {
		err := r.server.Shutdown(ctx)
		<-served // and with it the port is free
		return err
	})
	d.receiver = r
	return nil
}

func listenAgain(ctx context.Context, previous string) (net.Listener, error) {
	var config net.ListenConfig
	if parsed, err := url.Parse(previous); err == nil && parsed.Host != "" {
		if listener, err := config.Listen(ctx, "tcp", parsed.Host); err == nil {
			return listener, nil
		}
	}
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}

// trust sets the secret that signatures are checked against.
func (r *receiver) trust(secret string) error {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("reading the signing secret: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verifier = verifier
	return nil
}

func (r *receiver) receive(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	verifier := r.verifier
	r.mu.Unlock()
	if verifier == nil { // registered a moment ago, the secret is on its way
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxWebhook))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if err := verifier.Verify(body, request.Header); err != nil {
		r.say("Webhook REFUSED, its signature is bad: %s", request.Header.Get(webhookIDField))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	got := readWebhook(request.Header, body)
	r.say("Webhook verified: %s %s (%s)", got.kind, got.id, got.object)
	select {
	case r.received <- got:
	default: // nobody looks any more: saying it was all there is to do
	}
}

func readWebhook(header http.Header, body []byte) webhook {
	var event struct {
		Type string `json:"type"`
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &event) // signed by our own service
	return webhook{
		id: header.Get(webhookIDField), timestamp: header.Get("webhook-timestamp"), signature: header.Get("webhook-signature"),
		kind: event.Type, object: event.Data.ID, body: body,
	}
}

// await returns the webhook of that type about that object.
func (r *receiver) await(ctx context.Context, kind, object string) (webhook, error) {
	for {
		select {
		case got := <-r.received:
			if got.kind == kind && got.object == object {
				return got, nil
			}
		case <-ctx.Done():
			return webhook{}, fmt.Errorf("the webhook %s of %s did not arrive: %w", kind, object, context.Cause(ctx))
		}
	}
}
