-- Redshift's functions that PostgreSQL lacks or names otherwise. They are in pg_catalog, which every
-- search_path includes. Source: Redshift documentation, "SQL functions reference".

CREATE OR REPLACE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE AS $fn$
    SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), Redshift 1.0.0 (sandbox)'::text
$fn$;

-- GETDATE: start of the statement; SYSDATE: start of the transaction. Both without a time zone, UTC.
CREATE OR REPLACE FUNCTION pg_catalog.getdate() RETURNS timestamp LANGUAGE sql STABLE AS $fn$
    SELECT date_trunc('second', statement_timestamp() AT TIME ZONE current_setting('TimeZone'))
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.sysdate() RETURNS timestamp LANGUAGE sql STABLE AS $fn$
    SELECT transaction_timestamp() AT TIME ZONE current_setting('TimeZone')
$fn$;

-- LEN counts characters; trailing blanks of CHAR do not count.
CREATE OR REPLACE FUNCTION pg_catalog.len(text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT length($1)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.textlen(text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT length($1)
$fn$;

-- Date parts: every spelling that Redshift accepts -> one name.
CREATE OR REPLACE FUNCTION pg_catalog.sandbox_date_part(part text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
BEGIN
    RETURN CASE lower(part)
        WHEN 'year' THEN 'year' WHEN 'years' THEN 'year' WHEN 'y' THEN 'year' WHEN 'yr' THEN 'year' WHEN 'yrs' THEN 'year'
        WHEN 'quarter' THEN 'quarter' WHEN 'quarters' THEN 'quarter' WHEN 'qtr' THEN 'quarter' WHEN 'qtrs' THEN 'quarter'
        WHEN 'month' THEN 'month' WHEN 'months' THEN 'month' WHEN 'mon' THEN 'month' WHEN 'mons' THEN 'month'
        WHEN 'week' THEN 'week' WHEN 'weeks' THEN 'week' WHEN 'w' THEN 'week'
        WHEN 'day' THEN 'day' WHEN 'days' THEN 'day' WHEN 'd' THEN 'day'
        WHEN 'hour' THEN 'hour' WHEN 'hours' THEN 'hour' WHEN 'h' THEN 'hour' WHEN 'hr' THEN 'hour' WHEN 'hrs' THEN 'hour'
        WHEN 'minute' THEN 'minute' WHEN 'minutes' THEN 'minute' WHEN 'm' THEN 'minute' WHEN 'min' THEN 'minute' WHEN 'mins' THEN 'minute'
        WHEN 'second' THEN 'second' WHEN 'seconds' THEN 'second' WHEN 's' THEN 'second' WHEN 'sec' THEN 'second' WHEN 'secs' THEN 'second'
        WHEN 'millisecond' THEN 'milliseconds' WHEN 'milliseconds' THEN 'milliseconds' WHEN 'ms' THEN 'milliseconds' WHEN 'msec' THEN 'milliseconds' WHEN 'msecs' THEN 'milliseconds' WHEN 'msecond' THEN 'milliseconds' WHEN 'mseconds' THEN 'milliseconds' WHEN 'millisec' THEN 'milliseconds' WHEN 'millisecs' THEN 'milliseconds' WHEN 'millisecon' THEN 'milliseconds'
        WHEN 'microsecond' THEN 'microseconds' WHEN 'microseconds' THEN 'microseconds' WHEN 'us' THEN 'microseconds' WHEN 'usec' THEN 'microseconds' WHEN 'usecs' THEN 'microseconds' WHEN 'usecond' THEN 'microseconds' WHEN 'useconds' THEN 'microseconds' WHEN 'microsec' THEN 'microseconds' WHEN 'microsecs' THEN 'microseconds'
        WHEN 'decade' THEN 'decade' WHEN 'decades' THEN 'decade' WHEN 'century' THEN 'century' WHEN 'centuries' THEN 'century'
        ELSE sandbox_raise('22023', 'date part "' || part || '" is not known', 'Use year, quarter, month, week, day, hour, minute, second, millisecond or microsecond.')
    END;
END
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_raise(code text, message text, hint text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $fn$
BEGIN
    RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = coalesce(hint, '');
END
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_interval(part text, n bigint) RETURNS interval LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT n * CASE sandbox_date_part(part)
        WHEN 'century' THEN interval '100 years' WHEN 'decade' THEN interval '10 years'
        WHEN 'year' THEN interval '1 year' WHEN 'quarter' THEN interval '3 months'
        WHEN 'month' THEN interval '1 month' WHEN 'week' THEN interval '7 days'
        WHEN 'day' THEN interval '1 day' WHEN 'hour' THEN interval '1 hour'
        WHEN 'minute' THEN interval '1 minute' WHEN 'second' THEN interval '1 second'
        WHEN 'milliseconds' THEN interval '1 millisecond' ELSE interval '1 microsecond' END
$fn$;

-- DATEADD(part, n, date or timestamp) is a TIMESTAMP, for a DATE too.
CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, n bigint, at timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT at + sandbox_interval(part, n)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, n bigint, at timestamptz) RETURNS timestamptz LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $fn$
    SELECT at + sandbox_interval(part, n)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, n bigint, at date) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT at::timestamp + sandbox_interval(part, n)
$fn$;

-- DATEDIFF counts the boundaries between the dates, not whole parts. Weeks begin on Sunday.
CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a timestamp, b timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT (CASE sandbox_date_part(part)
        WHEN 'century' THEN extract(century FROM b) - extract(century FROM a)
        WHEN 'decade' THEN extract(decade FROM b) - extract(decade FROM a)
        WHEN 'year' THEN extract(year FROM b) - extract(year FROM a)
        WHEN 'quarter' THEN (extract(year FROM b) * 4 + extract(quarter FROM b)) - (extract(year FROM a) * 4 + extract(quarter FROM a))
        WHEN 'month' THEN (extract(year FROM b) * 12 + extract(month FROM b)) - (extract(year FROM a) * 12 + extract(month FROM a))
        WHEN 'week' THEN floor((b::date - date '1970-01-04') / 7.0) - floor((a::date - date '1970-01-04') / 7.0)
        WHEN 'day' THEN (b::date - a::date)::numeric
        WHEN 'hour' THEN extract(epoch FROM date_trunc('hour', b) - date_trunc('hour', a)) / 3600
        WHEN 'minute' THEN extract(epoch FROM date_trunc('minute', b) - date_trunc('minute', a)) / 60
        WHEN 'second' THEN extract(epoch FROM date_trunc('second', b) - date_trunc('second', a))
        WHEN 'milliseconds' THEN extract(epoch FROM date_trunc('milliseconds', b) - date_trunc('milliseconds', a)) * 1000
        ELSE extract(epoch FROM b - a) * 1000000 END)::bigint
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a timestamptz, b timestamptz) RETURNS bigint LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $fn$
    SELECT datediff(part, a AT TIME ZONE 'UTC', b AT TIME ZONE 'UTC')
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a date, b date) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT datediff(part, a::timestamp, b::timestamp)
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.add_months(timestamp, bigint) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    -- The last day of a month stays the last day.
    SELECT CASE WHEN $1::date = (date_trunc('month', $1) + interval '1 month - 1 day')::date
        THEN date_trunc('month', $1) + sandbox_interval('month', $2 + 1) - interval '1 day' + ($1 - date_trunc('day', $1))
        ELSE $1 + sandbox_interval('month', $2) END
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.last_day(timestamp) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT (date_trunc('month', $1) + interval '1 month - 1 day')::date
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.trunc(timestamp) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT $1::date
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.convert_timezone(source text, target text, at timestamp) RETURNS timestamp LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $fn$
    SELECT (at AT TIME ZONE source) AT TIME ZONE target
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.convert_timezone(target text, at timestamp) RETURNS timestamp LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $fn$
    SELECT (at AT TIME ZONE 'UTC') AT TIME ZONE target
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.charindex(part text, whole text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT strpos(whole, part)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.sha2(text, integer) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT CASE $2 WHEN 0 THEN encode(sha256(convert_to($1, 'UTF8')), 'hex')
                   WHEN 224 THEN encode(sha224(convert_to($1, 'UTF8')), 'hex')
                   WHEN 256 THEN encode(sha256(convert_to($1, 'UTF8')), 'hex')
                   WHEN 384 THEN encode(sha384(convert_to($1, 'UTF8')), 'hex')
                   WHEN 512 THEN encode(sha512(convert_to($1, 'UTF8')), 'hex') END
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.strtol(text, integer) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
DECLARE
    digits text := lower(trim($1));
    result numeric := 0;
    one integer;
    negative boolean := false;
BEGIN
    IF left(digits, 1) = '-' THEN
        negative := true;
        digits := substr(digits, 2);
    END IF;
    FOR i IN 1 .. length(digits) LOOP
        one := strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(digits, i, 1)) - 1;
        IF one < 0 OR one >= $2 THEN
            RAISE EXCEPTION USING ERRCODE = '22P02', MESSAGE = 'The input ' || $1 || ' is not valid to be converted to base ' || $2;
        END IF;
        result := result * $2 + one;
    END LOOP;
    RETURN CASE WHEN negative THEN -result ELSE result END;
END
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json(text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT pg_input_is_valid($1, 'json') AND left(ltrim($1), 1) = '{'
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json_array(text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT pg_input_is_valid($1, 'json') AND left(ltrim($1), 1) = '['
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.json_extract_path_text(document text, VARIADIC path text[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT json_extract_path_text(document::json, VARIADIC path)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.json_array_length(text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT json_array_length($1::json)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.json_extract_array_element_text(text, integer) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT $1::json ->> $2
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.json_parse(text) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT $1::jsonb
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.json_serialize(jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $fn$
    SELECT $1::text
$fn$;

-- The session's last COPY and UNLOAD. The server sets these when the statement ends.
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint LANGUAGE sql VOLATILE AS $fn$
    SELECT coalesce(nullif(current_setting('sandbox.last_copy_count', true), '')::bigint, -1)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_id() RETURNS bigint LANGUAGE sql VOLATILE AS $fn$
    SELECT coalesce(nullif(current_setting('sandbox.last_copy_id', true), '')::bigint, -1)
$fn$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_unload_count() RETURNS bigint LANGUAGE sql VOLATILE AS $fn$
    SELECT coalesce(nullif(current_setting('sandbox.last_unload_count', true), '')::bigint, -1)
$fn$;

-- PostgreSQL's functions for large objects, XML export and notifications are not in Redshift.
DO $do$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
          AND (p.proname LIKE 'lo\\_%' OR p.proname IN ('loread', 'lowrite', 'query_to_xml', 'table_to_xml', 'pg_notify', 'dblink'))
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    END LOOP;
END
$do$;
