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

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP FUNCTION require_rows;
