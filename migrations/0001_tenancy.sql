-- +goose Up
SET LOCAL lock_timeout = '5s';

CREATE TABLE businesses (
    id               uuid        PRIMARY KEY,
    name             text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    status           text        NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    default_currency text        NOT NULL DEFAULT 'USD' CHECK (default_currency ~ '^[A-Z]{3}$'),
    metadata         jsonb,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE businesses IS 'Tenants. Every other row belongs to exactly one.';

CREATE TABLE api_keys (
    business_id  uuid        NOT NULL REFERENCES businesses (id),
    id           uuid        NOT NULL,
    name         text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    prefix       text        NOT NULL,
    key_hash     bytea       NOT NULL CHECK (octet_length(key_hash) = 32),
    scopes       text[]      NOT NULL,
    replaces_id  uuid,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (business_id, id),
    -- The one look-up that cannot name a tenant: it is how the tenant is found.
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
    FOREIGN KEY (business_id, replaces_id) REFERENCES api_keys (business_id, id)
);
COMMENT ON TABLE api_keys IS 'Credentials of a business; only the SHA-256 of a key is kept.';

CREATE TABLE idempotency_keys (
    business_id uuid        NOT NULL REFERENCES businesses (id),
    -- COLLATE "C": keys are compared for equality only, and byte order is several
    -- times cheaper in an index than a language's.
    scope       text        COLLATE "C" NOT NULL,
    key         text        COLLATE "C" NOT NULL CHECK (char_length(key) BETWEEN 1 AND 600),
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    status      smallint    NOT NULL CHECK (status BETWEEN 200 AND 299),
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (business_id, scope, key)
);
-- The answer of a batch has a hundred kilobytes; compressing it would cost more
-- than writing it, for something that is hardly ever read.
ALTER TABLE idempotency_keys ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys USING brin (created_at);
COMMENT ON TABLE idempotency_keys IS 'Stored answers of POSTs that are not single movements; kept 30 days.';

CREATE TABLE audit_log (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_id uuid        REFERENCES businesses (id),
    actor       text        NOT NULL,
    action      text        NOT NULL,
    target      text        NOT NULL,
    before      jsonb,
    after       jsonb,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_log_business_id_idx ON audit_log (business_id, id);
COMMENT ON TABLE audit_log IS 'Every administrative change: who, what, before, after, when. Append-only.';

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE audit_log;
DROP FUNCTION refuse_change();
DROP TABLE idempotency_keys;
DROP TABLE api_keys;
DROP TABLE businesses;
