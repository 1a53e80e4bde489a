-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE webhook_events (
    business_id uuid        NOT NULL,
    id          uuid        NOT NULL,
    type        text        NOT NULL,
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (business_id, id)
);
COMMENT ON TABLE webhook_events IS 'Immutable events; body holds the exact bytes that are signed and sent.';

-- Inserted with the event, deleted by the fan-out. seq is drawn under the
-- account locks, so that for one account it runs in commit order.
CREATE TABLE webhook_outbox (
    part        smallint NOT NULL,
    seq         bigint   GENERATED ALWAYS AS IDENTITY,
    business_id uuid     NOT NULL,
    event_id    uuid     NOT NULL,
    type        text     NOT NULL,
    -- Fan-out position of an event with more endpoints than one step serves.
    after_webhook_id uuid,
    PRIMARY KEY (part, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
COMMENT ON TABLE webhook_outbox IS 'Events that have not been fanned out yet; part is a hash of the business.';

-- +goose Down
DROP TABLE webhook_outbox;
DROP TABLE webhook_events;
