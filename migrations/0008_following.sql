-- +goose Up
SET LOCAL lock_timeout = '5s';

-- A statement of a pipeline cannot read what the one before it returned; this one
-- can stop the pipeline, COMMIT included.
-- +goose StatementBegin
CREATE FUNCTION require_rows(seen bigint, wanted bigint) RETURNS void LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
    IF seen <> wanted THEN
        RAISE EXCEPTION 'found % of % rows as they should be', seen, wanted USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION require_rows IS 'Raises serialization_failure unless as many rows were seen as wanted.';

-- A plan that is made once serves large and small businesses, and the planner takes
-- each for an average one. Where nearly all are small, that has one row, any index that
-- begins with business_id looks as good as the right one, and the look-up of a key walks
-- all rows of a large business. ANALYZE takes these words for it instead.
ALTER TABLE transactions ALTER COLUMN business_id SET (n_distinct = 100);
ALTER TABLE idempotency_keys ALTER COLUMN business_id SET (n_distinct = 100);
ALTER TABLE holds ALTER COLUMN business_id SET (n_distinct = 100);

-- +goose Down
SET LOCAL lock_timeout = '5s';
ALTER TABLE holds ALTER COLUMN business_id RESET (n_distinct);
ALTER TABLE idempotency_keys ALTER COLUMN business_id RESET (n_distinct);
ALTER TABLE transactions ALTER COLUMN business_id RESET (n_distinct);
DROP FUNCTION require_rows;
