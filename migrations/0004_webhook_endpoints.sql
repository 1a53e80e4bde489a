-- +goose Up
SET LOCAL lock_timeout = '5s';

-- A rotation whose answer was lost is repeated, and must not take the secret away
-- that the receiver still verifies with: several former secrets may sign at once.
-- The columns previous_secret_* of webhooks keep the newest of them for dispatchers
-- of the release before, and go in a later migration.
CREATE TABLE webhook_previous_secrets (
    business_id uuid        NOT NULL,
    webhook_id  uuid        NOT NULL,
    ciphertext  bytea       NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (business_id, webhook_id, ciphertext),
    FOREIGN KEY (business_id, webhook_id) REFERENCES webhooks (business_id, id) ON DELETE CASCADE
);
COMMENT ON TABLE webhook_previous_secrets IS 'Rotated signing secrets, which sign beside the current one until they expire.';
COMMENT ON COLUMN webhook_previous_secrets.ciphertext IS 'As webhooks.secret_ciphertext.';

INSERT INTO webhook_previous_secrets (business_id, webhook_id, ciphertext, expires_at)
SELECT business_id, id, previous_secret_ciphertext, previous_secret_expires_at
FROM webhooks WHERE previous_secret_expires_at > now();

ALTER TABLE webhook_lanes
    ADD COLUMN breaker_resets   bigint NOT NULL DEFAULT 0,
    ADD COLUMN recent_attempts  real   NOT NULL DEFAULT 0,
    ADD COLUMN recent_successes real   NOT NULL DEFAULT 0,
    ADD COLUMN ending_reason    text;
CREATE INDEX webhook_lanes_ending_idx ON webhook_lanes (business_id, webhook_id) WHERE ending_reason IS NOT NULL;
COMMENT ON COLUMN webhook_lanes.breaker_resets IS 'Counts how often the owner lifted what blocked the lane, so that its holder forgets the breaker too.';
COMMENT ON COLUMN webhook_lanes.recent_attempts IS 'Weight of the attempts in recent_successes: it grows to 100 and stays there, each attempt making the former ones weigh less.';
COMMENT ON COLUMN webhook_lanes.recent_successes IS 'What of recent_attempts succeeded.';
COMMENT ON COLUMN webhook_lanes.ending_reason IS 'The endpoint was disabled or deleted, and deliveries are left that are to end as failed for this reason.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
ALTER TABLE webhook_lanes
    DROP COLUMN breaker_resets,
    DROP COLUMN recent_attempts,
    DROP COLUMN recent_successes,
    DROP COLUMN ending_reason;
DROP TABLE webhook_previous_secrets;
