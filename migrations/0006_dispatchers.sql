-- Indexes are built without blocking writers, which no transaction can do. Every
-- statement can be run again, should one be cut off.

-- +goose NO TRANSACTION

-- +goose Up
SET lock_timeout = '5s';

ALTER TABLE webhook_outbox ADD COLUMN IF NOT EXISTS fanned_out integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN webhook_outbox.fanned_out IS 'How many endpoints the event has reached so far: with after_webhook_id where a broadcast goes on.';

CREATE TABLE IF NOT EXISTS webhook_dispatchers (
    id      uuid        PRIMARY KEY,
    lanes   integer     NOT NULL CHECK (lanes >= 0),
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook_dispatchers IS 'Running dispatchers and how many lanes they hold, for a fair share; a row that is older than a lease means nothing.';

DROP INDEX CONCURRENTLY IF EXISTS webhook_lanes_breaker_idx;
CREATE INDEX CONCURRENTLY webhook_lanes_breaker_idx ON webhook_lanes (breaker_failures) WHERE breaker_failures >= 5;

-- The BRIN index could not find what is 30 days old once the space of deleted
-- rows was used again.
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_age_idx;
CREATE INDEX CONCURRENTLY idempotency_keys_age_idx ON idempotency_keys (business_id, created_at);
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_created_at_idx;

RESET lock_timeout;

-- +goose Down
SET lock_timeout = '5s';
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_created_at_idx;
CREATE INDEX CONCURRENTLY idempotency_keys_created_at_idx ON idempotency_keys USING brin (created_at);
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_age_idx;
DROP INDEX CONCURRENTLY IF EXISTS webhook_lanes_breaker_idx;
DROP TABLE IF EXISTS webhook_dispatchers;
ALTER TABLE webhook_outbox DROP COLUMN IF EXISTS fanned_out;
RESET lock_timeout;
