-- The money that accounts begin with, as the ledger would have written it:
--   $1 business   $2 accounts   $3 when   $4 amount   $5 currency
WITH credit AS MATERIALIZED (
    SELECT uuid_v7($3::timestamptz, n) AS id, account, replace(gen_random_uuid()::text, '-', '') AS key
    FROM unnest($2::uuid[]) WITH ORDINALITY AS a (account, n)
), made AS (
    INSERT INTO transactions (business_id, id, type, destination_account_id, destination_sequence,
        amount, currency, idempotency_scope, idempotency_key, fingerprint, created_at)
    SELECT $1, id, 'credit', account, 1, $4::bigint, $5, 'post', key, sha256(key::bytea), $3 FROM credit ORDER BY id
)
INSERT INTO entries (business_id, account_id, sequence, transaction_id, amount, balance_after, created_at)
SELECT $1, account, 1, id, $4, $4, $3 FROM credit
