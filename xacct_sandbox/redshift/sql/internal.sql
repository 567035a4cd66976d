-- The sandbox's own tables in the database, and the functions that make tables behave as Redshift's.
-- Run as rdsdb in one transaction. Every statement can be run again.

CREATE SCHEMA IF NOT EXISTS sandbox_internal;
REVOKE ALL ON SCHEMA sandbox_internal FROM PUBLIC;

CREATE TABLE IF NOT EXISTS sandbox_internal.namespace (
    account_id       text NOT NULL,
    region           text NOT NULL,
    namespace_id     text NOT NULL,
    namespace_name   text NOT NULL,
    workgroup_name   text,
    admin_user       text,
    iam_roles        text NOT NULL DEFAULT '',
    default_iam_role text,
    status           text NOT NULL DEFAULT 'available',
    only_one         boolean NOT NULL DEFAULT true UNIQUE CHECK (only_one)
);

CREATE TABLE IF NOT EXISTS sandbox_internal.query_history (
    query_id       bigint PRIMARY KEY,
    user_name      text NOT NULL,
    database_name  text NOT NULL,
    session_id     integer NOT NULL,
    transaction_id bigint,
    query_type     text NOT NULL,
    query_text     text NOT NULL,
    status         text NOT NULL,
    error_message  text,
    returned_rows  bigint,
    start_time     timestamp NOT NULL,
    end_time       timestamp NOT NULL
);

CREATE TABLE IF NOT EXISTS sandbox_internal.load_history (
    query_id      bigint PRIMARY KEY,
    user_name     text NOT NULL,
    session_id    integer NOT NULL,
    database_name text NOT NULL,
    table_name    text NOT NULL,
    data_source   text NOT NULL,
    file_format   text NOT NULL,
    status        text NOT NULL,
    loaded_rows   bigint NOT NULL,
    loaded_bytes  bigint NOT NULL,
    source_file_count integer NOT NULL,
    error_count   integer NOT NULL,
    start_time    timestamp NOT NULL,
    end_time      timestamp NOT NULL
);

CREATE TABLE IF NOT EXISTS sandbox_internal.load_errors (
    query_id      bigint NOT NULL,
    user_name     text NOT NULL,
    session_id    integer NOT NULL,
    database_name text NOT NULL,
    table_id      oid NOT NULL,
    table_name    text NOT NULL,
    start_time    timestamp NOT NULL,
    file_name     text NOT NULL,
    line_number   bigint NOT NULL,
    column_name   text NOT NULL,
    column_type   text NOT NULL,
    column_length text NOT NULL,
    position      integer NOT NULL,
    raw_line      text NOT NULL,
    raw_field_value text NOT NULL,
    error_code    integer NOT NULL,
    error_reason  text NOT NULL
);

CREATE TABLE IF NOT EXISTS sandbox_internal.unload_history (
    query_id      bigint PRIMARY KEY,
    user_name     text NOT NULL,
    session_id    integer NOT NULL,
    database_name text NOT NULL,
    location      text NOT NULL,
    file_format   text NOT NULL,
    status        text NOT NULL,
    unloaded_rows bigint NOT NULL,
    unloaded_files_count integer NOT NULL,
    unloaded_files_size bigint NOT NULL,
    start_time    timestamp NOT NULL,
    end_time      timestamp NOT NULL
);

-- The passwords that GetCredentials has given out: several of a user may be valid at a time. They are
-- checked by the server (server/temporary_passwords.py); PostgreSQL knows one password of each user.
CREATE TABLE IF NOT EXISTS sandbox_internal.temporary_passwords (
    user_name   text NOT NULL,
    digest      text NOT NULL,
    valid_until timestamptz NOT NULL
);

-- Redshift's superusers are members of this role, and this role is a member of every user. So they
-- own what any user owns, without the rights of PostgreSQL's superusers (files, programs).
DO $do$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'redshift_superuser') THEN
        CREATE ROLE redshift_superuser NOLOGIN CREATEROLE;
    END IF;
END
$do$;
GRANT pg_read_all_stats, pg_signal_backend TO redshift_superuser;
GRANT ALL ON DATABASE dev TO redshift_superuser;
GRANT CONNECT, TEMPORARY ON DATABASE dev TO PUBLIC;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;
-- In Redshift every user may use and create in schema public.
GRANT ALL ON SCHEMA public TO PUBLIC;
ALTER SCHEMA public OWNER TO redshift_superuser;

-- Runs after every CREATE and ALTER of a table, also in procedures. Columns of types that Redshift
-- lacks are refused, and VARCHAR(n) and CHAR(n) count bytes. The limit is a check named
-- $bytes:<column number>:<type>:<n>; the server turns its violation into Redshift's "value too long
-- for type" (sql/errors.py). A VARCHAR that is too long by trailing blanks only is no violation:
-- PostgreSQL cuts the blanks beyond n characters. NOT VALID: existing rows are not read again.
CREATE OR REPLACE FUNCTION sandbox_internal.after_ddl() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $fn$
DECLARE
    tables oid[];
    item   record;
BEGIN
    SELECT coalesce(array_agg(DISTINCT c.objid), '{}') INTO tables
    FROM pg_catalog.pg_event_trigger_ddl_commands() AS c
    JOIN pg_catalog.pg_class AS t ON t.oid = c.objid AND t.relkind = 'r'
    WHERE c.classid = 'pg_catalog.pg_class'::regclass
      AND c.object_type IN ('table', 'table column')
      AND coalesce(c.schema_name, '') <> 'sandbox_internal';
    IF tables = '{}' THEN
        RETURN;
    END IF;

    FOR item IN
        SELECT t.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_class AS t ON t.oid = a.attrelid
        WHERE a.attrelid = ANY (tables) AND a.attnum > 0 AND NOT a.attisdropped
          AND a.atttypid <> ALL (ARRAY[
              'bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'varchar', 'bpchar',
              'text', 'date', 'time', 'timetz', 'timestamp', 'timestamptz', 'interval', 'jsonb',
              'oid', 'name', '"char"']::regtype[])
    LOOP
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format(
            'Column "%s.%s" has unsupported type "%s".', item.relname, item.attname, item.type_name);
    END LOOP;

    -- One ALTER TABLE per table. It fires this trigger again, which then finds nothing to do.
    FOR item IN
        SELECT relation, string_agg(action, ', ' ORDER BY place) AS actions
        FROM (
            SELECT k.conrelid::regclass AS relation, 1 AS place,
                   format('DROP CONSTRAINT %I', k.conname) AS action
            FROM pg_catalog.pg_constraint AS k
            WHERE k.conrelid = ANY (tables) AND k.conname LIKE '$bytes:%'
              AND NOT EXISTS (
                  SELECT 1 FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = k.conrelid AND NOT a.attisdropped
                    AND k.conname = pg_catalog.sandbox_byte_check_name(a.attnum, a.atttypid, a.atttypmod))
            UNION ALL
            SELECT a.attrelid::regclass, 2,
                   format(CASE a.atttypid
                              WHEN 'varchar'::regtype THEN
                                  'ADD CONSTRAINT %I CHECK (octet_length(%2$I) <= %3$s'
                                  ' OR octet_length(rtrim(%2$I)) <= %3$s) NOT VALID'
                              ELSE 'ADD CONSTRAINT %I CHECK (octet_length(%I) <= %s) NOT VALID'
                          END,
                          pg_catalog.sandbox_byte_check_name(a.attnum, a.atttypid, a.atttypmod),
                          a.attname, a.atttypmod - 4)
            FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = ANY (tables) AND a.attnum > 0 AND NOT a.attisdropped
              AND a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod > 0
              AND NOT EXISTS (
                  SELECT 1 FROM pg_catalog.pg_constraint AS k
                  WHERE k.conrelid = a.attrelid
                    AND k.conname = pg_catalog.sandbox_byte_check_name(a.attnum, a.atttypid, a.atttypmod))
        ) AS needed
        GROUP BY relation
    LOOP
        EXECUTE format('ALTER TABLE %s %s', item.relation, item.actions);
    END LOOP;
END
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_byte_check_name(attnum smallint, typid oid, typmod integer)
RETURNS name LANGUAGE sql IMMUTABLE AS $fn$
    SELECT (CASE WHEN typmod > 0 AND typid = 1043 THEN '$bytes:' || attnum || ':varchar:' || (typmod - 4)
                 WHEN typmod > 0 AND typid = 1042 THEN '$bytes:' || attnum || ':char:' || (typmod - 4)
            END)::name
$fn$;

DROP EVENT TRIGGER IF EXISTS sandbox_after_ddl;
CREATE EVENT TRIGGER sandbox_after_ddl ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE')
    EXECUTE FUNCTION sandbox_internal.after_ddl();

-- A new procedure can be called by its owner and by superusers only (Redshift guide, "Security and
-- privileges for stored procedures"); in PostgreSQL by everybody. CREATE OR REPLACE keeps the rights.
CREATE OR REPLACE FUNCTION sandbox_internal.after_procedure() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $fn$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT c.object_identity
        FROM pg_catalog.pg_event_trigger_ddl_commands() AS c
        JOIN pg_catalog.pg_proc AS p ON p.oid = c.objid AND p.prokind = 'p' AND p.proacl IS NULL
        WHERE c.classid = 'pg_catalog.pg_proc'::regclass
    LOOP
        EXECUTE format('REVOKE EXECUTE ON PROCEDURE %s FROM PUBLIC', item.object_identity);
    END LOOP;
END
$fn$;

DROP EVENT TRIGGER IF EXISTS sandbox_after_procedure;
CREATE EVENT TRIGGER sandbox_after_procedure ON ddl_command_end
    WHEN TAG IN ('CREATE PROCEDURE') EXECUTE FUNCTION sandbox_internal.after_procedure();

-- Limits of an earlier release counted trailing blanks. Once dropped, the trigger adds them anew.
DO $do$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT k.conrelid::regclass AS relation, k.conname FROM pg_catalog.pg_constraint AS k
        WHERE k.conname LIKE '$bytes:%:varchar:%'
          AND pg_catalog.pg_get_constraintdef(k.oid) NOT LIKE '%rtrim%'
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.relation, item.conname);
    END LOOP;
END
$do$;

-- CREATE USER, ALTER USER, DROP USER are translated into calls of these functions (sql/users.py).
CREATE OR REPLACE FUNCTION pg_catalog.sandbox_is_superuser(who name) RETURNS boolean
LANGUAGE sql STABLE AS $fn$
    SELECT coalesce(
        (SELECT r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'redshift_superuser', 'member')
         FROM pg_catalog.pg_roles AS r WHERE r.rolname = who), false)
$fn$;

-- Superusers of Redshift see all rows of the histories, others see their own.
CREATE OR REPLACE FUNCTION pg_catalog.sandbox_may_see(who text) RETURNS boolean
LANGUAGE sql STABLE AS $fn$
    SELECT who = current_user OR pg_catalog.sandbox_is_superuser(current_user)
$fn$;

-- What Redshift refuses to change of a column that is part of a key of its table ("ALTER TABLE").
CREATE OR REPLACE PROCEDURE pg_catalog.sandbox_refuse_keys(
    relation text, altered name, attributes text[])
LANGUAGE plpgsql AS $fn$
DECLARE
    found text;
BEGIN
    SELECT k.attribute INTO found
    FROM pg_catalog.sandbox_table_attributes AS k
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
    WHERE k.conrelid = pg_catalog.to_regclass(relation) AND a.attname = altered
      AND k.attribute = ANY (attributes)
    LIMIT 1;
    IF found = 'key' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format(
            'cannot alter column "%s" with a UNIQUE, PRIMARY KEY or FOREIGN KEY constraint', altered);
    ELSIF found IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = format('cannot drop %skey column "%s"', found, altered);
    END IF;
END
$fn$;
GRANT EXECUTE ON PROCEDURE pg_catalog.sandbox_refuse_keys(text, name, text[]) TO PUBLIC;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_require_superuser(what text, who name) RETURNS void
LANGUAGE plpgsql STABLE AS $fn$
BEGIN
    IF NOT pg_catalog.sandbox_is_superuser(who) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = what || ' requires a superuser',
            HINT = 'User ' || who || ' is not one; connect as the admin user of the namespace.';
    END IF;
END
$fn$;

-- options: the options of CREATE and ALTER ROLE in PostgreSQL.
CREATE OR REPLACE FUNCTION pg_catalog.sandbox_create_user(
    user_name name, options text, superuser boolean, groups text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
DECLARE
    group_name text;
BEGIN
    PERFORM pg_catalog.sandbox_require_superuser('CREATE USER', session_user);
    EXECUTE format('CREATE ROLE %I LOGIN %s', user_name, options);
    IF superuser THEN
        EXECUTE format('GRANT redshift_superuser TO %I WITH INHERIT TRUE', user_name);
    ELSE
        EXECUTE format('GRANT %I TO redshift_superuser WITH INHERIT TRUE', user_name);
    END IF;
    FOREACH group_name IN ARRAY groups LOOP
        EXECUTE format('GRANT %I TO %I', group_name, user_name);
    END LOOP;
END
$fn$;

-- superuser: null leaves it as it is. Users may change their own password.
CREATE OR REPLACE FUNCTION pg_catalog.sandbox_alter_user(
    user_name name, options text, superuser boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
BEGIN
    IF user_name = 'rdsdb' AND session_user <> 'rdsdb' THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'user rdsdb cannot be altered';
    END IF;
    IF user_name <> session_user OR superuser IS NOT NULL THEN
        PERFORM pg_catalog.sandbox_require_superuser('ALTER USER', session_user);
    END IF;
    IF options <> '' THEN
        EXECUTE format('ALTER ROLE %I %s', user_name, options);
    END IF;
    IF superuser THEN
        EXECUTE format('REVOKE %I FROM redshift_superuser', user_name);
        EXECUTE format('GRANT redshift_superuser TO %I WITH INHERIT TRUE', user_name);
    ELSIF NOT superuser THEN
        EXECUTE format('REVOKE redshift_superuser FROM %I', user_name);
        EXECUTE format('GRANT %I TO redshift_superuser WITH INHERIT TRUE', user_name);
    END IF;
END
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_drop_user(user_name name, if_exists boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
BEGIN
    PERFORM pg_catalog.sandbox_require_superuser('DROP USER', session_user);
    IF user_name IN ('rdsdb', 'redshift_superuser') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('user %s cannot be dropped', user_name);
    END IF;
    EXECUTE format('DROP ROLE %s %I', CASE WHEN if_exists THEN 'IF EXISTS' ELSE '' END, user_name);
END
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_create_group(group_name name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
BEGIN
    PERFORM pg_catalog.sandbox_require_superuser('CREATE GROUP', session_user);
    EXECUTE format('CREATE ROLE %I NOLOGIN', group_name);
    EXECUTE format('GRANT %I TO redshift_superuser WITH ADMIN TRUE, INHERIT FALSE', group_name);
END
$fn$;

CREATE OR REPLACE FUNCTION pg_catalog.sandbox_drop_group(group_name name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
BEGIN
    PERFORM pg_catalog.sandbox_require_superuser('DROP GROUP', session_user);
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r
                   WHERE r.rolname = group_name AND NOT r.rolcanlogin
                     AND r.rolname <> 'redshift_superuser' AND r.rolname NOT LIKE 'pg\\_%') THEN
        RAISE EXCEPTION USING ERRCODE = '42704', MESSAGE = format('group "%s" does not exist', group_name);
    END IF;
    EXECUTE format('DROP ROLE %I', group_name);
END
$fn$;
