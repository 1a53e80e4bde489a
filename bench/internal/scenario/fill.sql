-- A slice of history: transfers of rounds $3 up to, not including, $4, with their
-- entries, as the ledger would have written them.
--   $1 business   $2 accounts   $5 when transfer 0 was made   $6 pause after each
--
-- A round visits every account twice, once as source and once as destination, and
-- leaves all balances as they were. That makes sequences and running balances
-- arithmetic, so slices need not follow each other:
--   * the accounts of a round are shuffled into slots: (slot * stride + start) mod
--     n, where the stride has no factor in common with n;
--   * transfer i takes from slot i and gives to slot (i + shift) mod n, so that a
--     slot below the shift is source before it is destination, and any other after;
--   * sequence 1 is the credit that the account began with.
WITH round AS MATERIALIZED (
    SELECT r, 1 + r % 500 AS amount, cardinality($2::uuid[]) AS n,
           1 + (r * 7919) % (cardinality($2::uuid[]) - 1) AS shift, (r * 104729) % cardinality($2::uuid[]) AS start,
           (SELECT s FROM generate_series(1 + r * 31 % cardinality($2::uuid[]), 2 * cardinality($2::uuid[])) s
            WHERE gcd(s, cardinality($2::uuid[])) = 1 LIMIT 1) AS stride
    FROM generate_series($3::bigint, $4::bigint - 1) r
), movement AS MATERIALIZED (
    SELECT uuid_v7(at, i) AS id, at, amount, replace(gen_random_uuid()::text, '-', '') AS key,
           ($2::uuid[])[1 + (i * stride + start) % n] AS source,
           ($2::uuid[])[1 + (gives * stride + start) % n] AS destination,
           2 * r + CASE WHEN i < shift THEN 2 ELSE 3 END AS source_sequence,
           2 * r + CASE WHEN gives < shift THEN 3 ELSE 2 END AS destination_sequence,
           $7::bigint - CASE WHEN i < shift THEN amount ELSE 0 END AS source_balance,
           $7::bigint + CASE WHEN gives < shift THEN 0 ELSE amount END AS destination_balance
    FROM round, LATERAL (
        SELECT i, (i + shift) % n AS gives, $5::timestamptz + (r * n + i) * $6::interval AS at
        FROM generate_series(0, n - 1) i) transfer
), made AS (
    INSERT INTO transactions (business_id, id, type, source_account_id, destination_account_id,
        source_sequence, destination_sequence, amount, currency, idempotency_scope, idempotency_key, fingerprint, created_at)
    SELECT $1, id, 'transfer', source, destination, source_sequence, destination_sequence,
        amount, $8, 'post', key, sha256(key::bytea), at
    FROM movement ORDER BY id
)
INSERT INTO entries (business_id, account_id, sequence, transaction_id, amount, balance_after, created_at)
SELECT $1, side.account, side.sequence, id, side.amount, side.balance, at
FROM movement, LATERAL (VALUES
    (source, source_sequence, -amount, source_balance),
    (destination, destination_sequence, amount, destination_balance)) side (account, sequence, amount, balance)
