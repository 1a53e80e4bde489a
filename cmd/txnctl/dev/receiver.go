package dev

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/txn-service/txn/pkg/client"
)

const (
	maxWebhook    = 1 << 20 // bytes of a body that the receiver reads
	receiverQueue = 1024    // verified webhooks that wait to be looked at
	headerTimeout = 5 * time.Second
	receiverPath  = "/webhooks"
)

// receiver is the endpoint of the demo: it verifies what it gets as any tenant's
// program does.
type receiver struct {
	server   *http.Server
	url      string
	received chan webhook
	say      func(format string, args ...any)

	mu     sync.Mutex // guards secret
	secret string
}

// webhook is a delivery whose signature was good.
type webhook struct {
	id, timestamp, signature string
	kind                     client.EventType
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
		secret: d.state.WebhookSecret,
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
func (r *receiver) trust(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

func (r *receiver) receive(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	secret := r.secret
	r.mu.Unlock()
	if secret == "" { // registered a moment ago, the secret is on its way
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxWebhook))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	event, err := client.VerifyWebhook(request.Header, body, secret)
	if err != nil {
		r.say("Webhook REFUSED, %v: %s", err, request.Header.Get("webhook-id"))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	got := webhook{
		id:        request.Header.Get("webhook-id"),
		timestamp: request.Header.Get("webhook-timestamp"),
		signature: request.Header.Get("webhook-signature"),
		kind:      event.Type, object: objectOf(event), body: body,
	}
	r.say("Webhook verified: %s %s (%s)", got.kind, got.id, got.object)
	select {
	case r.received <- got:
	default: // nobody looks any more: saying it was all there is to do
	}
}

// objectOf is the id of the object that an event is about.
func objectOf(event *client.Event) string {
	switch data := event.Data.(type) {
	case *client.Account:
		return data.ID
	case *client.Transaction:
		return data.ID
	case *client.Hold:
		return data.ID
	case *client.Webhook:
		return data.ID
	default:
		return ""
	}
}

// await returns the webhook of that type about that object.
func (r *receiver) await(ctx context.Context, kind client.EventType, object string) (webhook, error) {
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
