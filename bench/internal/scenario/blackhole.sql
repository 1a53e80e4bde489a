-- Counts what happens to one endpoint's deliveries, row by row. Other endpoints'
-- rows cost a comparison.
CREATE TABLE bench_backlog_changes (operation text);
CREATE FUNCTION bench_count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench_backlog_changes VALUES (TG_OP);
    RETURN NULL;
END
$$;
