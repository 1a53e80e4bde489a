-- The tables explain themselves, in psql and in docs/schema.md. A comment locks
-- out other changes of the schema, and neither reads nor writes.

-- +goose Up
SET LOCAL lock_timeout = '5s';

COMMENT ON COLUMN businesses.status IS 'A suspended business can neither read nor write, and its webhooks wait.';
COMMENT ON COLUMN businesses.default_currency IS 'What a new account gets that names no currency.';
COMMENT ON COLUMN businesses.metadata IS 'Pairs of strings, the operator''s own; null: none.';

COMMENT ON COLUMN api_keys.prefix IS 'The first characters of the key, by which people recognise it.';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the whole key: it needs no salt, because the key is random.';
COMMENT ON COLUMN api_keys.scopes IS 'What the key may do, such as accounts:read.';
COMMENT ON COLUMN api_keys.replaces_id IS 'The key that this one was rotated from.';
COMMENT ON COLUMN api_keys.expires_at IS 'From then on it is refused; null: never.';
COMMENT ON COLUMN api_keys.revoked_at IS 'Since when it is refused.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Written at intervals, not at every request.';

COMMENT ON COLUMN idempotency_keys.scope IS 'The operation that the key was sent to; a key counts per business and operation.';
COMMENT ON COLUMN idempotency_keys.key IS 'The Idempotency-Key of the request.';
COMMENT ON COLUMN idempotency_keys.fingerprint IS 'SHA-256 of the canonical request: another one under the same key is refused.';
COMMENT ON COLUMN idempotency_keys.status IS 'HTTP status of the stored answer.';
COMMENT ON COLUMN idempotency_keys.body IS 'The stored answer, without the secret if it carried one.';

COMMENT ON COLUMN audit_log.business_id IS 'Whom the change concerned; null: no single business.';
COMMENT ON COLUMN audit_log.actor IS 'Who did it: operator:name, or key: and the id of an API key.';
COMMENT ON COLUMN audit_log.action IS 'What was done, such as key.revoked.';
COMMENT ON COLUMN audit_log.target IS 'Id of what was changed.';
COMMENT ON COLUMN audit_log.before IS 'What changed, as it was.';
COMMENT ON COLUMN audit_log.after IS 'What changed, as it became.';

COMMENT ON COLUMN business_accounts.reference IS 'The business''s own name for the account, unique in it.';
COMMENT ON COLUMN business_accounts.currency IS 'ISO 4217; it never changes.';
COMMENT ON COLUMN business_accounts.status IS 'frozen: readable, no movements; closed: for ever, and empty.';
COMMENT ON COLUMN business_accounts.balance IS 'Sum of the entries, minor units.';
COMMENT ON COLUMN business_accounts.held IS 'Sum of what pending holds have left, minor units.';
COMMENT ON COLUMN business_accounts.last_entry_at IS 'created_at of the last entry: time never runs backwards on an account.';

COMMENT ON COLUMN transactions.type IS 'credit comes in, debit goes out, transfer goes from account to account.';
COMMENT ON COLUMN transactions.source_account_id IS 'Where the money comes from; null for a credit.';
COMMENT ON COLUMN transactions.destination_account_id IS 'Where it goes to; null for a debit.';
COMMENT ON COLUMN transactions.destination_sequence IS 'With destination_account_id, the primary key of the destination''s entry.';
COMMENT ON COLUMN transactions.amount IS 'Minor units of the currency.';
COMMENT ON COLUMN transactions.reference IS 'The business''s own name for the transaction, unique in it.';
COMMENT ON COLUMN transactions.idempotency_scope IS 'The operation that made it: post, capture, reverse or batch_item.';
COMMENT ON COLUMN transactions.idempotency_key IS 'The Idempotency-Key, kept for ever: this row is the stored answer.';
COMMENT ON COLUMN transactions.fingerprint IS 'SHA-256 of the canonical request.';
COMMENT ON COLUMN transactions.reverses_transaction_id IS 'The transaction that it gives back, in whole or in part.';
COMMENT ON COLUMN transactions.hold_id IS 'The hold that it captures.';
COMMENT ON COLUMN transactions.effective_at IS 'Information of the business; it affects no balance.';
COMMENT ON COLUMN transactions.created_at IS 'The database''s clock under the account locks.';

COMMENT ON COLUMN entries.sequence IS '1, 2, 3, … on each account, without a gap.';
COMMENT ON COLUMN entries.amount IS 'Minor units; negative where money leaves the account.';
COMMENT ON COLUMN entries.balance_after IS 'Balance of the account with this entry: a balance of the past is one look-up.';
COMMENT ON COLUMN entries.created_at IS 'That of the transaction.';

COMMENT ON COLUMN reversals.transaction_id IS 'The transaction that was reversed.';
COMMENT ON COLUMN reversals.amount IS 'Amount of that transaction, for the constraint.';
COMMENT ON COLUMN reversals.reversed IS 'Sum of its reversals so far, minor units.';

COMMENT ON COLUMN holds.account_id IS 'The account whose money is set aside.';
COMMENT ON COLUMN holds.destination_account_id IS 'Where captures go; null: out of the ledger.';
COMMENT ON COLUMN holds.amount IS 'What was set aside at first, minor units.';
COMMENT ON COLUMN holds.captured_amount IS 'What of it has been captured, minor units.';
COMMENT ON COLUMN holds.idempotency_key IS 'The Idempotency-Key, kept for ever: this row is the stored answer.';
COMMENT ON COLUMN holds.fingerprint IS 'SHA-256 of the canonical request.';
COMMENT ON COLUMN holds.expires_at IS 'When what is left goes back; null: never.';

COMMENT ON COLUMN webhooks.event_types IS 'Filter: types, noun.*, or *.';
COMMENT ON COLUMN webhooks.status IS 'paused: deliveries wait; disabled: they end as failed.';
COMMENT ON COLUMN webhooks.disabled_reason IS 'Why, and by whom: the operator, the tenant, the answer 410, or days of failures.';
COMMENT ON COLUMN webhooks.previous_secret_ciphertext IS 'As secret_ciphertext; for dispatchers of an older release.';
COMMENT ON COLUMN webhooks.previous_secret_expires_at IS 'When the secret before stops signing; for dispatchers of an older release.';
COMMENT ON COLUMN webhooks.ordered IS 'One delivery at a time, in order of commits per account.';
COMMENT ON COLUMN webhooks.max_concurrency IS 'Requests in flight at once.';
COMMENT ON COLUMN webhooks.rate_limit IS 'Requests per second; null: no limit.';
COMMENT ON COLUMN webhooks.headers IS 'Headers that every request carries beside the signed ones.';
COMMENT ON COLUMN webhooks.deleted_at IS 'Deleted: it is shown no more, gets nothing, and keeps its row for a while.';

COMMENT ON COLUMN webhook_events.body IS 'The exact bytes that are signed and sent.';

COMMENT ON COLUMN webhook_outbox.part IS 'Hash of the business: parts are fanned out beside one another.';
COMMENT ON COLUMN webhook_outbox.seq IS 'Drawn under the account locks: for one account it runs in the order of commits.';
COMMENT ON COLUMN webhook_outbox.type IS 'That of the event, so that the fan-out need not read it.';
COMMENT ON COLUMN webhook_outbox.after_webhook_id IS 'The last endpoint that a broadcast has reached.';

COMMENT ON COLUMN webhook_deliveries.status IS 'pending until delivered, or failed for good.';
COMMENT ON COLUMN webhook_deliveries.attempt_count IS 'Attempts in all runs.';
COMMENT ON COLUMN webhook_deliveries.run_attempt IS 'Attempts of this run: the place in the retry schedule.';
COMMENT ON COLUMN webhook_deliveries.next_attempt_at IS 'When the next attempt is due, while pending.';
COMMENT ON COLUMN webhook_deliveries.failure_reason IS 'Why it ended as failed.';
COMMENT ON COLUMN webhook_deliveries.finished_at IS 'When it was delivered or failed.';

COMMENT ON COLUMN webhook_attempts.number IS '1, 2, 3, … over all runs.';
COMMENT ON COLUMN webhook_attempts.run IS 'The run of the delivery that it belongs to.';
COMMENT ON COLUMN webhook_attempts.status_code IS 'HTTP status of the answer; null: there was none.';
COMMENT ON COLUMN webhook_attempts.latency_ms IS 'From the start of the request to the end of its answer.';
COMMENT ON COLUMN webhook_attempts.response_body IS 'The first 4 KB of the answer.';
COMMENT ON COLUMN webhook_attempts.error IS 'Why there was no answer.';
COMMENT ON COLUMN webhook_attempts.replay IS 'Whether somebody asked for it.';

COMMENT ON COLUMN webhook_lanes.owner IS 'The dispatcher that holds the lease.';
COMMENT ON COLUMN webhook_lanes.breaker_failures IS 'Failures in a row that count for the circuit breaker.';

COMMENT ON COLUMN webhook_previous_secrets.expires_at IS 'When it stops signing.';

COMMENT ON COLUMN webhook_replays.delivery_id IS 'Replay this delivery only.';
COMMENT ON COLUMN webhook_replays.event_id IS 'Replay this event, to all endpoints or to webhook_id.';
COMMENT ON COLUMN webhook_replays.webhook_id IS 'Replay to this endpoint.';
COMMENT ON COLUMN webhook_replays.event_types IS 'Only events of these types; null: all.';
COMMENT ON COLUMN webhook_replays.failure_reason IS 'Why it was given up.';
COMMENT ON COLUMN webhook_replays.replayed IS 'Deliveries that were started anew or made.';
COMMENT ON COLUMN webhook_replays.next_step_at IS 'When a dispatcher works on it next.';

COMMENT ON COLUMN webhook_replay_targets.next_step_at IS 'When this endpoint is worked on next.';

COMMENT ON COLUMN webhook_dispatchers.lanes IS 'Lanes that it holds.';
COMMENT ON COLUMN webhook_dispatchers.seen_at IS 'Its last heartbeat.';

COMMENT ON FUNCTION refuse_change IS 'Trigger of the append-only tables.';
COMMENT ON FUNCTION uuid_v7 IS 'UUID of version 7 as the programs make it; rows that are numbered by counter keep their order.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
COMMENT ON FUNCTION uuid_v7 IS NULL;
COMMENT ON FUNCTION refuse_change IS NULL;
COMMENT ON COLUMN webhook_dispatchers.seen_at IS NULL;
COMMENT ON COLUMN webhook_dispatchers.lanes IS NULL;
COMMENT ON COLUMN webhook_replay_targets.next_step_at IS NULL;
COMMENT ON COLUMN webhook_replays.next_step_at IS NULL;
COMMENT ON COLUMN webhook_replays.replayed IS NULL;
COMMENT ON COLUMN webhook_replays.failure_reason IS NULL;
COMMENT ON COLUMN webhook_replays.event_types IS NULL;
COMMENT ON COLUMN webhook_replays.webhook_id IS NULL;
COMMENT ON COLUMN webhook_replays.event_id IS NULL;
COMMENT ON COLUMN webhook_replays.delivery_id IS NULL;
COMMENT ON COLUMN webhook_previous_secrets.expires_at IS NULL;
COMMENT ON COLUMN webhook_lanes.breaker_failures IS NULL;
COMMENT ON COLUMN webhook_lanes.owner IS NULL;
COMMENT ON COLUMN webhook_attempts.replay IS NULL;
COMMENT ON COLUMN webhook_attempts.error IS NULL;
COMMENT ON COLUMN webhook_attempts.response_body IS NULL;
COMMENT ON COLUMN webhook_attempts.latency_ms IS NULL;
COMMENT ON COLUMN webhook_attempts.status_code IS NULL;
COMMENT ON COLUMN webhook_attempts.run IS NULL;
COMMENT ON COLUMN webhook_attempts.number IS NULL;
COMMENT ON COLUMN webhook_deliveries.finished_at IS NULL;
COMMENT ON COLUMN webhook_deliveries.failure_reason IS NULL;
COMMENT ON COLUMN webhook_deliveries.next_attempt_at IS NULL;
COMMENT ON COLUMN webhook_deliveries.run_attempt IS NULL;
COMMENT ON COLUMN webhook_deliveries.attempt_count IS NULL;
COMMENT ON COLUMN webhook_deliveries.status IS NULL;
COMMENT ON COLUMN webhook_outbox.after_webhook_id IS NULL;
COMMENT ON COLUMN webhook_outbox.type IS NULL;
COMMENT ON COLUMN webhook_outbox.seq IS NULL;
COMMENT ON COLUMN webhook_outbox.part IS NULL;
COMMENT ON COLUMN webhook_events.body IS NULL;
COMMENT ON COLUMN webhooks.deleted_at IS NULL;
COMMENT ON COLUMN webhooks.headers IS NULL;
COMMENT ON COLUMN webhooks.rate_limit IS NULL;
COMMENT ON COLUMN webhooks.max_concurrency IS NULL;
COMMENT ON COLUMN webhooks.ordered IS NULL;
COMMENT ON COLUMN webhooks.previous_secret_expires_at IS NULL;
COMMENT ON COLUMN webhooks.previous_secret_ciphertext IS NULL;
COMMENT ON COLUMN webhooks.disabled_reason IS NULL;
COMMENT ON COLUMN webhooks.status IS NULL;
COMMENT ON COLUMN webhooks.event_types IS NULL;
COMMENT ON COLUMN holds.expires_at IS NULL;
COMMENT ON COLUMN holds.fingerprint IS NULL;
COMMENT ON COLUMN holds.idempotency_key IS NULL;
COMMENT ON COLUMN holds.captured_amount IS NULL;
COMMENT ON COLUMN holds.amount IS NULL;
COMMENT ON COLUMN holds.destination_account_id IS NULL;
COMMENT ON COLUMN holds.account_id IS NULL;
COMMENT ON COLUMN reversals.reversed IS NULL;
COMMENT ON COLUMN reversals.amount IS NULL;
COMMENT ON COLUMN reversals.transaction_id IS NULL;
COMMENT ON COLUMN entries.created_at IS NULL;
COMMENT ON COLUMN entries.balance_after IS NULL;
COMMENT ON COLUMN entries.amount IS NULL;
COMMENT ON COLUMN entries.sequence IS NULL;
COMMENT ON COLUMN transactions.created_at IS NULL;
COMMENT ON COLUMN transactions.effective_at IS NULL;
COMMENT ON COLUMN transactions.hold_id IS NULL;
COMMENT ON COLUMN transactions.reverses_transaction_id IS NULL;
COMMENT ON COLUMN transactions.fingerprint IS NULL;
COMMENT ON COLUMN transactions.idempotency_key IS NULL;
COMMENT ON COLUMN transactions.idempotency_scope IS NULL;
COMMENT ON COLUMN transactions.reference IS NULL;
COMMENT ON COLUMN transactions.amount IS NULL;
COMMENT ON COLUMN transactions.destination_sequence IS NULL;
COMMENT ON COLUMN transactions.destination_account_id IS NULL;
COMMENT ON COLUMN transactions.source_account_id IS NULL;
COMMENT ON COLUMN transactions.type IS NULL;
COMMENT ON COLUMN business_accounts.last_entry_at IS NULL;
COMMENT ON COLUMN business_accounts.held IS NULL;
COMMENT ON COLUMN business_accounts.balance IS NULL;
COMMENT ON COLUMN business_accounts.status IS NULL;
COMMENT ON COLUMN business_accounts.currency IS NULL;
COMMENT ON COLUMN business_accounts.reference IS NULL;
COMMENT ON COLUMN audit_log.after IS NULL;
COMMENT ON COLUMN audit_log.before IS NULL;
COMMENT ON COLUMN audit_log.target IS NULL;
COMMENT ON COLUMN audit_log.action IS NULL;
COMMENT ON COLUMN audit_log.actor IS NULL;
COMMENT ON COLUMN audit_log.business_id IS NULL;
COMMENT ON COLUMN idempotency_keys.body IS NULL;
COMMENT ON COLUMN idempotency_keys.status IS NULL;
COMMENT ON COLUMN idempotency_keys.fingerprint IS NULL;
COMMENT ON COLUMN idempotency_keys.key IS NULL;
COMMENT ON COLUMN idempotency_keys.scope IS NULL;
COMMENT ON COLUMN api_keys.last_used_at IS NULL;
COMMENT ON COLUMN api_keys.revoked_at IS NULL;
COMMENT ON COLUMN api_keys.expires_at IS NULL;
COMMENT ON COLUMN api_keys.replaces_id IS NULL;
COMMENT ON COLUMN api_keys.scopes IS NULL;
COMMENT ON COLUMN api_keys.key_hash IS NULL;
COMMENT ON COLUMN api_keys.prefix IS NULL;
COMMENT ON COLUMN businesses.metadata IS NULL;
COMMENT ON COLUMN businesses.default_currency IS NULL;
COMMENT ON COLUMN businesses.status IS NULL;
