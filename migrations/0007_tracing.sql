-- Indexes are built without blocking writers, which no transaction can do. Every
-- statement can be run again, should one be cut off.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = '5s';

-- No default: no row is touched. A NULL takes no room either, for it is a bit of
-- what the row's header pads anyway.
ALTER TABLE webhook_events ADD COLUMN IF NOT EXISTS trace_context text;
COMMENT ON COLUMN webhook_events.trace_context IS 'W3C traceparent of the span that made the event, and behind a space its tracestate if it has one; null: not sampled.';

-- What operators are told about every minute: endpoints that do not get anything,
-- and keys that run out.
DROP INDEX CONCURRENTLY IF EXISTS webhooks_inactive_idx;
CREATE INDEX CONCURRENTLY webhooks_inactive_idx ON webhooks (status) WHERE deleted_at IS NULL AND status <> 'active';
DROP INDEX CONCURRENTLY IF EXISTS api_keys_expiring_idx;
CREATE INDEX CONCURRENTLY api_keys_expiring_idx ON api_keys (expires_at) WHERE revoked_at IS NULL AND expires_at IS NOT NULL;

RESET lock_timeout;

-- +goose Down
SET lock_timeout = '5s';
DROP INDEX CONCURRENTLY IF EXISTS api_keys_expiring_idx;
DROP INDEX CONCURRENTLY IF EXISTS webhooks_inactive_idx;
ALTER TABLE webhook_events DROP COLUMN IF EXISTS trace_context;
RESET lock_timeout;
