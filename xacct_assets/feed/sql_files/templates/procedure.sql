-- Written by `xacct feed sql {feed}` from the feed's defs.yaml; without this line it is its own.
-- Replaces the days from_day..to_day of {fact_name} with their staged rows.
-- Only days whose load was not transformed yet are changed: a second call, also after staging was
-- emptied, changes nothing. One call is one transaction (DELETE, because TRUNCATE commits).
CREATE OR REPLACE PROCEDURE {procedure}(from_day IN DATE, to_day IN DATE)
AS $$
DECLARE
    expected BIGINT;
    staged   BIGINT;
BEGIN
    IF from_day IS NULL OR to_day IS NULL OR from_day > to_day THEN
        RAISE EXCEPTION '{procedure_name}: from_day % and to_day % are not a range of days', from_day, to_day;
    END IF;

    SELECT COALESCE(SUM(rows_loaded), 0) INTO expected
    FROM {load_audit}
    WHERE feed = '{feed}' AND partition_date BETWEEN from_day AND to_day AND transformed_at IS NULL;

    SELECT COUNT(*) INTO staged
    FROM {staging} AS s
    JOIN {load_audit} AS l ON l.feed = '{feed}' AND l.partition_date = s.partition_date
    WHERE s.partition_date BETWEEN from_day AND to_day AND l.transformed_at IS NULL;

    IF staged <> expected THEN
        RAISE EXCEPTION '{procedure_name}: staging holds % rows of % to %, but % were loaded; load these days again',
            staged, from_day, to_day, expected;
    END IF;

    DELETE FROM {fact}
    WHERE partition_date IN (
        SELECT partition_date FROM {load_audit}
        WHERE feed = '{feed}' AND partition_date BETWEEN from_day AND to_day AND transformed_at IS NULL
    );

    INSERT INTO {fact} (
{inserted},
        partition_date, loaded_at
    )
    SELECT
{selected},
        s.partition_date, l.loaded_at
    FROM {staging} AS s
    JOIN {load_audit} AS l ON l.feed = '{feed}' AND l.partition_date = s.partition_date
    WHERE s.partition_date BETWEEN from_day AND to_day AND l.transformed_at IS NULL;

    UPDATE {load_audit}
    SET transformed_at = GETDATE()
    WHERE feed = '{feed}' AND partition_date BETWEEN from_day AND to_day AND transformed_at IS NULL;
END;
$$ LANGUAGE plpgsql;
