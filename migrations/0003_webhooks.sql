-- +goose Up
SET LOCAL lock_timeout = '5s';

-- The same layout as the ids made in Go: 48 bits of milliseconds, 12 bits of
-- sub-millisecond fraction (RFC 9562 §6.2 method 3), a 14-bit counter and 48
-- random bits. Set-based inserts number their rows and so keep their order.
-- +goose StatementBegin
CREATE FUNCTION uuid_v7(at timestamptz, counter bigint) RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000000)::bigint / 1000), 12, '0')
        || '7' || lpad(to_hex((extract(epoch FROM at) * 1000000)::bigint % 1000), 3, '0')
        || to_hex(32768 + (counter & 16383))
        || right(gen_random_uuid()::text, 12))::uuid
$$;
-- +goose StatementEnd

CREATE TABLE webhooks (
    business_id                uuid        NOT NULL REFERENCES businesses (id),
    id                         uuid        NOT NULL,
    url                        text        NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2048),
    description                text,
    event_types                text[]      NOT NULL CHECK (cardinality(event_types) > 0),
    status                     text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'disabled')),
    disabled_reason            text,
    secret_ciphertext          bytea       NOT NULL,
    previous_secret_ciphertext bytea,
    previous_secret_expires_at timestamptz,
    ordered                    boolean     NOT NULL DEFAULT false,
    max_concurrency            integer     NOT NULL CHECK (max_concurrency BETWEEN 1 AND 512),
    rate_limit                 integer     CHECK (rate_limit > 0),
    headers                    jsonb,
    metadata                   jsonb,
    created_at                 timestamptz NOT NULL DEFAULT now(),
    updated_at                 timestamptz NOT NULL DEFAULT now(),
    deleted_at                 timestamptz,
    PRIMARY KEY (business_id, id),
    CONSTRAINT webhooks_disabled_reason CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL)),
    CONSTRAINT webhooks_previous_secret CHECK ((previous_secret_ciphertext IS NULL) = (previous_secret_expires_at IS NULL))
);
CREATE INDEX webhooks_live_idx ON webhooks (business_id, id) WHERE deleted_at IS NULL;
COMMENT ON TABLE webhooks IS 'Endpoints of a business. A deleted one keeps its row while deliveries refer to it.';
COMMENT ON COLUMN webhooks.secret_ciphertext IS 'Key id, nonce and AES-256-GCM ciphertext, bound to (business_id, id) as additional data.';

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

-- No foreign keys to events and endpoints: the fan-out proves both in the
-- statement that inserts, and the checks would cost it a third of its rate.
CREATE TABLE webhook_deliveries (
    business_id     uuid        NOT NULL,
    id              uuid        NOT NULL,
    event_id        uuid        NOT NULL,
    webhook_id      uuid        NOT NULL,
    status          text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    run             integer     NOT NULL DEFAULT 1 CHECK (run > 0),
    attempt_count   integer     NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    run_attempt     integer     NOT NULL DEFAULT 0 CHECK (run_attempt BETWEEN 0 AND attempt_count),
    next_attempt_at timestamptz NOT NULL,
    sequence        bigint      NOT NULL,
    ordered         boolean     NOT NULL DEFAULT false,
    failure_reason  text,
    created_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    PRIMARY KEY (business_id, id),
    -- The endpoint comes before the event so that the same index pages through
    -- an endpoint's deliveries in order.
    CONSTRAINT webhook_deliveries_event_key UNIQUE (business_id, webhook_id, event_id),
    CONSTRAINT webhook_deliveries_finished CHECK ((status = 'pending') = (finished_at IS NULL)),
    CONSTRAINT webhook_deliveries_reason CHECK ((status = 'failed') = (failure_reason IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX webhook_deliveries_due_idx ON webhook_deliveries (business_id, webhook_id, next_attempt_at, id)
    WHERE status = 'pending';
CREATE INDEX webhook_deliveries_ordered_idx ON webhook_deliveries (business_id, webhook_id, sequence)
    WHERE status = 'pending' AND ordered;
CREATE INDEX webhook_deliveries_failed_idx ON webhook_deliveries (business_id, id) WHERE status = 'failed';
CREATE INDEX webhook_deliveries_failed_webhook_idx ON webhook_deliveries (business_id, webhook_id, id)
    WHERE status = 'failed';
COMMENT ON TABLE webhook_deliveries IS 'One event on its way to one endpoint; the row stays when it has ended.';
COMMENT ON COLUMN webhook_deliveries.run IS '1, and one more per replay: with attempt_count what a completion compares and swaps on.';
COMMENT ON COLUMN webhook_deliveries.sequence IS 'The outbox sequence of the event: the order of an ordered endpoint.';
COMMENT ON COLUMN webhook_deliveries.ordered IS 'Whether the endpoint is ordered; kept equal to webhooks.ordered while pending.';

CREATE TABLE webhook_attempts (
    business_id   uuid        NOT NULL,
    delivery_id   uuid        NOT NULL,
    number        integer     NOT NULL CHECK (number > 0),
    run           integer     NOT NULL,
    status_code   integer,
    latency_ms    integer     NOT NULL,
    response_body text,
    error         text,
    replay        boolean     NOT NULL,
    attempted_at  timestamptz NOT NULL,
    PRIMARY KEY (business_id, delivery_id, number)
);
COMMENT ON TABLE webhook_attempts IS 'Requests of deliveries and their answers. Append-only, written with the delivery''s new state.';

-- A lane is an endpoint's queue. A dispatcher leases lanes, never deliveries:
-- only the lane's holder sends, which makes caps, pace, order and the breaker
-- exact, and lets a dead endpoint's backlog cost one probe per cool-off.
CREATE TABLE webhook_lanes (
    business_id      uuid        NOT NULL,
    webhook_id       uuid        NOT NULL,
    due_at           timestamptz NOT NULL DEFAULT 'infinity',
    blocked_until    timestamptz NOT NULL DEFAULT '-infinity',
    owner            uuid,
    epoch            bigint      NOT NULL DEFAULT 0,
    touches          bigint      NOT NULL DEFAULT 0,
    config_version   bigint      NOT NULL DEFAULT 0,
    breaker_failures integer     NOT NULL DEFAULT 0,
    failing_since    timestamptz,
    PRIMARY KEY (business_id, webhook_id),
    FOREIGN KEY (business_id, webhook_id) REFERENCES webhooks (business_id, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX webhook_lanes_due_idx ON webhook_lanes (due_at);
COMMENT ON TABLE webhook_lanes IS 'Leases on endpoints.';
COMMENT ON COLUMN webhook_lanes.due_at IS 'When the lane may be claimed next; while it is leased, when the lease ends.';
COMMENT ON COLUMN webhook_lanes.blocked_until IS 'No claim before: breaker, Retry-After; infinity while paused or disabled.';
COMMENT ON COLUMN webhook_lanes.epoch IS 'Counts owners: a former owner''s heartbeat and release find another epoch and do nothing.';
COMMENT ON COLUMN webhook_lanes.touches IS 'Counts additions of work: a release that has not seen the last one is refused.';
COMMENT ON COLUMN webhook_lanes.config_version IS 'Counts changes of the endpoint, so that the holder reads it again.';
COMMENT ON COLUMN webhook_lanes.failing_since IS 'First failure since the last success.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE webhook_lanes;
DROP TABLE webhook_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_outbox;
DROP TABLE webhook_events;
DROP TABLE webhooks;
DROP FUNCTION uuid_v7(timestamptz, bigint);
