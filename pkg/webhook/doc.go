// Package webhook owns a business's endpoints: what they subscribe to, their
// encrypted signing secrets, signatures after Standard Webhooks
// (https://www.standardwebhooks.com), the retry schedule, which addresses may be
// called, and the views of events and deliveries.
//
// It sends nothing: package dispatch does, over the lanes of package outbox.
package webhook
