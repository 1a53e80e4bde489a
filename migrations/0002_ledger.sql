-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Amounts and balances stay within ±(2^53 − 1): exact for every JSON reader.
CREATE TABLE business_accounts (
    business_id     uuid        NOT NULL REFERENCES businesses (id),
    id              uuid        NOT NULL,
    name            text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    -- COLLATE "C" here and below: these are compared for equality, and byte order
    -- is several times cheaper in an index than a language's.
    reference       text        COLLATE "C" CHECK (char_length(reference) BETWEEN 1 AND 200),
    currency        text        COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status          text        COLLATE "C" NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'frozen', 'closed')),
    balance         bigint      NOT NULL DEFAULT 0,
    held            bigint      NOT NULL DEFAULT 0 CHECK (held >= 0),
    overdraft_limit bigint      DEFAULT 0 CHECK (overdraft_limit BETWEEN 0 AND 9007199254740991),
    version         bigint      NOT NULL DEFAULT 0 CHECK (version >= 0),
    last_entry_at   timestamptz,
    metadata        jsonb,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (business_id, id),
    CONSTRAINT business_accounts_balance_range CHECK (balance BETWEEN -9007199254740991 AND 9007199254740991),
    CONSTRAINT business_accounts_no_overdraft CHECK (overdraft_limit IS NULL OR balance - held >= -overdraft_limit),
    CONSTRAINT business_accounts_closed_empty CHECK (status <> 'closed' OR (balance = 0 AND held = 0))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
-- fillfactor 50: every movement updates its accounts' rows, and room on the page
-- keeps the new version there (HOT), without touching an index.
CREATE UNIQUE INDEX business_accounts_reference_key ON business_accounts (business_id, reference)
    WHERE reference IS NOT NULL;
COMMENT ON TABLE business_accounts IS 'Money of one business in one currency; balances change only in the ledger, under FOR UPDATE.';
COMMENT ON COLUMN business_accounts.version IS 'Sequence of the account''s last entry.';
COMMENT ON COLUMN business_accounts.overdraft_limit IS 'How far balance - held may fall below zero, minor units; null: no limit.';

-- No foreign keys on transactions and entries: the account locks prove the
-- references while writing, the audit looks for orphans, and the checks would
-- cost a third of the throughput.
CREATE TABLE transactions (
    business_id             uuid        NOT NULL,
    id                      uuid        NOT NULL,
    type                    text        COLLATE "C" NOT NULL,
    source_account_id       uuid,
    destination_account_id  uuid,
    source_sequence         bigint,
    destination_sequence    bigint,
    amount                  bigint      NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
    currency                text        COLLATE "C" NOT NULL,
    description             text,
    reference               text        COLLATE "C",
    metadata                jsonb,
    idempotency_scope       text        COLLATE "C" NOT NULL,
    idempotency_key         text        COLLATE "C" NOT NULL,
    fingerprint             bytea       NOT NULL,
    reverses_transaction_id uuid,
    hold_id                 uuid,
    effective_at            timestamptz,
    created_at              timestamptz NOT NULL,
    PRIMARY KEY (business_id, id),
    CONSTRAINT transactions_idempotency_key UNIQUE (business_id, idempotency_scope, idempotency_key),
    CONSTRAINT transactions_sides CHECK (CASE type
        WHEN 'credit'   THEN source_account_id IS NULL AND destination_account_id IS NOT NULL
        WHEN 'debit'    THEN source_account_id IS NOT NULL AND destination_account_id IS NULL
        WHEN 'transfer' THEN source_account_id <> destination_account_id
        ELSE false END),
    CONSTRAINT transactions_sequences CHECK (
        (source_account_id IS NULL) = (source_sequence IS NULL)
        AND (destination_account_id IS NULL) = (destination_sequence IS NULL))
);
CREATE UNIQUE INDEX transactions_reference_key ON transactions (business_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX transactions_reverses_idx ON transactions (business_id, reverses_transaction_id)
    WHERE reverses_transaction_id IS NOT NULL;
CREATE INDEX transactions_hold_idx ON transactions (business_id, hold_id) WHERE hold_id IS NOT NULL;
COMMENT ON TABLE transactions IS 'Movements of money. Append-only: a mistake is corrected by a reversal.';
COMMENT ON COLUMN transactions.source_sequence IS 'With source_account_id, the primary key of the source''s entry.';

-- Metadata filters page through this in order of the primary key. A GIN index
-- would have to fetch and sort every match; a row without metadata costs nothing.
CREATE TABLE transaction_metadata (
    business_id    uuid NOT NULL,
    key            text COLLATE "C" NOT NULL,
    value          text COLLATE "C" NOT NULL,
    transaction_id uuid NOT NULL,
    PRIMARY KEY (business_id, key, value, transaction_id)
);
COMMENT ON TABLE transaction_metadata IS 'Transactions by metadata pair.';

CREATE TABLE entries (
    business_id    uuid        NOT NULL,
    account_id     uuid        NOT NULL,
    sequence       bigint      NOT NULL CHECK (sequence > 0),
    transaction_id uuid        NOT NULL,
    amount         bigint      NOT NULL CHECK (amount <> 0),
    balance_after  bigint      NOT NULL,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (business_id, account_id, sequence)
);
COMMENT ON TABLE entries IS 'The double-entry truth: signed amounts with a gapless sequence per account. Append-only.';

-- Time never runs backwards against an account's sequence, so the entry that was
-- the last at a moment is found by bisection: some twenty look-ups of the primary
-- key for a million entries, instead of an index on created_at that every
-- movement would have to maintain.
-- +goose StatementBegin
CREATE FUNCTION entry_sequence_at(business uuid, account uuid, moment timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    low    bigint := 0; -- entries up to here are at or before the moment
    high   bigint;      -- entries above are after it
    middle bigint;
    stamp  timestamptz;
BEGIN
    SELECT coalesce(max(e.sequence), 0) INTO high FROM entries e
    WHERE e.business_id = business AND e.account_id = account;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT e.created_at INTO stamp FROM entries e
        WHERE e.business_id = business AND e.account_id = account AND e.sequence = middle;
        IF stamp <= moment THEN low := middle; ELSE high := middle - 1; END IF;
    END LOOP;
    RETURN low;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION entry_sequence_at IS 'Sequence of the account''s last entry at or before the moment; 0 when there is none.';

CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transaction_metadata_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transaction_metadata
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE reversals (
    business_id    uuid   NOT NULL,
    transaction_id uuid   NOT NULL,
    amount         bigint NOT NULL,
    reversed       bigint NOT NULL CHECK (reversed > 0),
    PRIMARY KEY (business_id, transaction_id),
    FOREIGN KEY (business_id, transaction_id) REFERENCES transactions (business_id, id),
    CONSTRAINT reversals_within_original CHECK (reversed <= amount)
);
COMMENT ON TABLE reversals IS 'How much of a transaction has been reversed; never more than all of it.';

CREATE TABLE holds (
    business_id            uuid        NOT NULL,
    id                     uuid        NOT NULL,
    account_id             uuid        NOT NULL,
    destination_account_id uuid        CHECK (destination_account_id <> account_id),
    amount                 bigint      NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
    captured_amount        bigint      NOT NULL DEFAULT 0,
    currency               text        COLLATE "C" NOT NULL,
    status                 text        COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'captured', 'voided', 'expired')),
    description            text,
    metadata               jsonb,
    idempotency_key        text        COLLATE "C" NOT NULL,
    fingerprint            bytea       NOT NULL,
    expires_at             timestamptz,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    PRIMARY KEY (business_id, id),
    FOREIGN KEY (business_id, account_id) REFERENCES business_accounts (business_id, id),
    FOREIGN KEY (business_id, destination_account_id) REFERENCES business_accounts (business_id, id),
    CONSTRAINT holds_idempotency_key UNIQUE (business_id, idempotency_key),
    CONSTRAINT holds_captured_range CHECK (captured_amount BETWEEN 0 AND amount)
);
CREATE INDEX holds_pending_idx ON holds (business_id, account_id, expires_at) WHERE status = 'pending';
CREATE INDEX holds_account_idx ON holds (business_id, account_id, id);
CREATE INDEX holds_due_idx ON holds (expires_at) WHERE status = 'pending' AND expires_at IS NOT NULL;
COMMENT ON TABLE holds IS 'Money set aside on an account; pending until captured, voided or expired.';

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE holds;
DROP TABLE reversals;
DROP FUNCTION entry_sequence_at;
DROP TABLE entries;
DROP TABLE transaction_metadata;
DROP TABLE transactions;
DROP TABLE business_accounts;
