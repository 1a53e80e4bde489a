-- +goose NO TRANSACTION
-- An index on a table that is being written can only be built concurrently, and
-- that not inside a transaction. Every statement here may be repeated instead.

-- +goose Up
SET lock_timeout = '5s';

CREATE TABLE IF NOT EXISTS webhook_replays (
    business_id    uuid             NOT NULL REFERENCES businesses (id),
    id             uuid             NOT NULL,
    delivery_id    uuid,
    event_id       uuid,
    webhook_id     uuid,
    since          timestamptz,
    until          timestamptz      NOT NULL,
    event_types    text[]           CHECK (cardinality(event_types) > 0),
    failed_only    boolean          NOT NULL,
    rate           double precision NOT NULL CHECK (rate > 0),
    status         text             NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    failure_reason text,
    total          bigint,
    matched        bigint           NOT NULL DEFAULT 0,
    missing        bigint           NOT NULL DEFAULT 0,
    replayed       bigint           NOT NULL DEFAULT 0,
    pending        bigint           NOT NULL DEFAULT 0,
    skipped        bigint           NOT NULL DEFAULT 0,
    next_step_at   timestamptz      NOT NULL DEFAULT now(),
    paced_until    timestamptz      NOT NULL DEFAULT '-infinity',
    created_at     timestamptz      NOT NULL DEFAULT now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    PRIMARY KEY (business_id, id),
    FOREIGN KEY (business_id, webhook_id) REFERENCES webhooks (business_id, id) ON DELETE CASCADE,
    CONSTRAINT webhook_replays_finished CHECK ((status IN ('pending', 'running')) = (finished_at IS NULL)),
    CONSTRAINT webhook_replays_reason CHECK ((status = 'failed') = (failure_reason IS NOT NULL))
);
-- The one look-up across tenants: which replay is to be worked on next.
CREATE INDEX IF NOT EXISTS webhook_replays_due_idx ON webhook_replays (next_step_at) WHERE status IN ('pending', 'running');
COMMENT ON TABLE webhook_replays IS 'Deliveries that are to be sent again, and how far that is; dispatchers work it off in steps.';
COMMENT ON COLUMN webhook_replays.since IS 'Events created before are not meant; null: all.';
COMMENT ON COLUMN webhook_replays.until IS 'Events created at or after are not meant.';
COMMENT ON COLUMN webhook_replays.failed_only IS 'Restart what failed; otherwise also make deliveries for events that the endpoint never had.';
COMMENT ON COLUMN webhook_replays.rate IS 'Deliveries that become due per second.';
COMMENT ON COLUMN webhook_replays.total IS 'What a count found when the replay was asked for, if there was one.';
COMMENT ON COLUMN webhook_replays.matched IS 'Deliveries seen that were meant: replayed and pending ones.';
COMMENT ON COLUMN webhook_replays.missing IS 'Those of matched that the endpoint never had before.';
COMMENT ON COLUMN webhook_replays.pending IS 'Those of matched that had not ended, so that there was nothing to do.';
COMMENT ON COLUMN webhook_replays.skipped IS 'Endpoints that were left out because they are disabled.';
COMMENT ON COLUMN webhook_replays.paced_until IS 'When the last delivery replayed so far is due.';

-- A replay goes through each of its endpoints in the order of the events; an
-- endpoint that cannot keep up does not hold the others up.
CREATE TABLE IF NOT EXISTS webhook_replay_targets (
    business_id    uuid        NOT NULL,
    replay_id      uuid        NOT NULL,
    webhook_id     uuid        NOT NULL,
    after_event_id uuid        NOT NULL,
    next_step_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (business_id, replay_id, webhook_id),
    FOREIGN KEY (business_id, replay_id) REFERENCES webhook_replays (business_id, id) ON DELETE CASCADE,
    FOREIGN KEY (business_id, webhook_id) REFERENCES webhooks (business_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE webhook_replay_targets IS 'Endpoints that a replay has not finished with.';
COMMENT ON COLUMN webhook_replay_targets.after_event_id IS 'The last event that was looked at.';

RESET lock_timeout;

-- Failed deliveries in the order of their events, for replays; it serves what the
-- index by delivery served, so that an insert maintains no more than before.
DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_failed_event_idx;
CREATE INDEX CONCURRENTLY webhook_deliveries_failed_event_idx ON webhook_deliveries (business_id, webhook_id, event_id)
    WHERE status = 'failed';
DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_failed_webhook_idx;

-- +goose Down
SET lock_timeout = '5s';
DROP TABLE IF EXISTS webhook_replay_targets;
DROP TABLE IF EXISTS webhook_replays;
RESET lock_timeout;
DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_failed_webhook_idx;
CREATE INDEX CONCURRENTLY webhook_deliveries_failed_webhook_idx ON webhook_deliveries (business_id, webhook_id, id)
    WHERE status = 'failed';
DROP INDEX CONCURRENTLY IF EXISTS webhook_deliveries_failed_event_idx;
