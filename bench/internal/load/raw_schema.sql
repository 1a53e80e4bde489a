-- What a transfer costs without a service: one plpgsql call locks both
-- accounts, moves the balances, and writes the transaction, its two entries and
-- an event for a dispatcher to find.
CREATE SCHEMA raw;

CREATE TABLE raw.accounts (
    id          bigint PRIMARY KEY,
    business_id bigint NOT NULL,
    balance     bigint NOT NULL DEFAULT 0 CHECK (balance >= 0),
    version     bigint NOT NULL DEFAULT 0
);
CREATE TABLE raw.transactions (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_id     bigint      NOT NULL,
    type            smallint    NOT NULL,
    src             bigint,
    dst             bigint,
    amount          bigint      NOT NULL,
    idempotency_key text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (business_id, idempotency_key)
);
CREATE TABLE raw.postings (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tx_id         bigint      NOT NULL,
    account_id    bigint      NOT NULL,
    amount        bigint      NOT NULL,
    balance_after bigint      NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE raw.webhook_events (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_id     bigint      NOT NULL,
    tx_id           bigint      NOT NULL,
    payload         jsonb       NOT NULL,
    status          text        NOT NULL DEFAULT 'pending',
    next_attempt_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON raw.webhook_events (next_attempt_at) WHERE status = 'pending';
CREATE INDEX ON raw.postings (account_id, id DESC);

INSERT INTO raw.accounts SELECT g, 1, 1000000000 FROM generate_series(1, 10000) g;

CREATE FUNCTION raw.transfer(a bigint, b bigint, amt bigint, k text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE t bigint; ba bigint; bb bigint;
BEGIN
    PERFORM 1 FROM raw.accounts WHERE id IN (a, b) ORDER BY id FOR UPDATE;
    UPDATE raw.accounts SET balance = balance - amt, version = version + 1 WHERE id = a RETURNING balance INTO ba;
    UPDATE raw.accounts SET balance = balance + amt, version = version + 1 WHERE id = b RETURNING balance INTO bb;
    INSERT INTO raw.transactions (business_id, type, src, dst, amount, idempotency_key)
        VALUES (1, 3, a, b, amt, k) RETURNING id INTO t;
    INSERT INTO raw.postings (tx_id, account_id, amount, balance_after) VALUES (t, a, -amt, ba), (t, b, amt, bb);
    INSERT INTO raw.webhook_events (business_id, tx_id, payload)
        VALUES (1, t, jsonb_build_object('id', t, 'amount', amt, 'type', 'transfer'));
    RETURN t;
END $$;
