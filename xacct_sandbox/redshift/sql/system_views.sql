-- Redshift's system views, in pg_catalog as in Redshift. Columns: Redshift documentation, "System and
-- administration information". Columns without a meaning in the sandbox are left out or constant.
-- Distribution, sort order and declared keys are NOT ENFORCED checks (sql/table_attributes.py).
SET LOCAL allow_system_table_mods = on;

-- Redshift's superusers are none of PostgreSQL's (internal.sql).
CREATE OR REPLACE VIEW pg_catalog.pg_user AS
SELECT s.usename, s.usesysid, s.usecreatedb,
       s.usesuper OR pg_catalog.pg_has_role(s.usesysid, 'redshift_superuser', 'member') AS usesuper,
       s.userepl, s.usebypassrls, '********'::text AS passwd, s.valuntil, s.useconfig
FROM pg_catalog.pg_shadow AS s;

CREATE OR REPLACE VIEW pg_catalog.sandbox_table_attributes AS
SELECT k.conrelid, k.conname, k.conkey,
       CASE WHEN k.conname = '$dist' THEN 'dist'
            WHEN k.conname = '$sort' THEN 'sort'
            WHEN k.conname LIKE '$encode:%' THEN 'encode'
            ELSE 'key' END AS attribute,
       -- the constant of CHECK (… OR 'constant' IS NULL)
       substring(pg_catalog.pg_get_constraintdef(k.oid) FROM '''([^'']*)''::text') AS setting
FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'c' AND NOT k.conenforced
  AND pg_catalog.pg_get_constraintdef(k.oid) LIKE '%::text IS NULL%';

CREATE OR REPLACE VIEW pg_catalog.sandbox_columns AS
SELECT n.nspname, t.relname, t.relkind, t.oid AS relid, a.attnum, a.attname, a.attnotnull,
       a.atttypid, a.atttypmod,
       CASE WHEN a.atttypid = 'text'::regtype THEN 'character varying'
            WHEN a.atttypid = 'jsonb'::regtype THEN 'super'
            ELSE pg_catalog.format_type(a.atttypid, NULL) END AS data_type,
       CASE WHEN a.atttypid = 'text'::regtype THEN 'character varying(65535)'
            WHEN a.atttypid = 'jsonb'::regtype THEN 'super'
            ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END AS full_type,
       CASE WHEN a.atttypid = 'text'::regtype THEN 65535
            WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod > 0
                THEN a.atttypmod - 4
            WHEN a.atttypid = 'varchar'::regtype THEN 65535 END AS character_length,
       CASE WHEN a.atttypid = 'numeric'::regtype
                THEN CASE WHEN a.atttypmod > 0 THEN (a.atttypmod - 4) >> 16 ELSE 38 END
            WHEN a.atttypid = 'int2'::regtype THEN 16 WHEN a.atttypid = 'int4'::regtype THEN 32
            WHEN a.atttypid = 'int8'::regtype THEN 64 WHEN a.atttypid = 'float4'::regtype THEN 24
            WHEN a.atttypid = 'float8'::regtype THEN 53 END AS numeric_precision,
       CASE WHEN a.atttypid = 'numeric'::regtype
                THEN CASE WHEN a.atttypmod > 0 THEN (a.atttypmod - 4) & 2047 END
            WHEN a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) THEN 0
            END AS numeric_scale,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS column_default,
       coalesce(e.setting, 'none') AS encoding,
       coalesce(a.attnum = ANY (dist.conkey) AND dist.setting = 'KEY', false) AS distkey,
       coalesce(array_position(sort.conkey, a.attnum)
                * CASE WHEN sort.setting = 'INTERLEAVED' AND array_position(sort.conkey, a.attnum) % 2 = 0
                       THEN -1 ELSE 1 END, 0) AS sortkey
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS t ON t.oid = a.attrelid AND t.relkind IN ('r', 'v', 'm')
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.sandbox_table_attributes AS dist ON dist.conrelid = t.oid AND dist.attribute = 'dist'
LEFT JOIN pg_catalog.sandbox_table_attributes AS sort ON sort.conrelid = t.oid AND sort.attribute = 'sort'
LEFT JOIN pg_catalog.sandbox_table_attributes AS e
    ON e.conrelid = t.oid AND e.attribute = 'encode' AND a.attnum = ANY (e.conkey)
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname NOT IN ('sandbox_internal', 'pg_toast')
  AND t.relname NOT LIKE 'sandbox\\_%'
  AND (pg_catalog.pg_has_role(t.relowner, 'USAGE')
       OR pg_catalog.has_any_column_privilege(t.oid, 'SELECT, INSERT, UPDATE, REFERENCES'));

CREATE OR REPLACE VIEW pg_catalog.svv_tables AS
SELECT current_database()::varchar(128) AS table_catalog, n.nspname::varchar(128) AS table_schema,
       t.relname::varchar(128) AS table_name,
       (CASE t.relkind WHEN 'r' THEN 'BASE TABLE' ELSE 'VIEW' END)::varchar(128) AS table_type,
       pg_catalog.obj_description(t.oid, 'pg_class') AS remarks
FROM pg_catalog.pg_class AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
WHERE t.relkind IN ('r', 'v', 'm') AND n.nspname NOT IN ('sandbox_internal', 'pg_toast')
  AND t.relname NOT LIKE 'sandbox\\_%'
  AND (pg_catalog.pg_has_role(t.relowner, 'USAGE')
       OR pg_catalog.has_table_privilege(t.oid, 'SELECT, INSERT, UPDATE, DELETE, REFERENCES'));

CREATE OR REPLACE VIEW pg_catalog.svv_columns AS
SELECT current_database()::varchar(128) AS table_catalog, nspname::varchar(128) AS table_schema,
       relname::varchar(128) AS table_name, attname::varchar(128) AS column_name,
       attnum::integer AS ordinal_position, column_default::varchar AS column_default,
       (CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END)::varchar(3) AS is_nullable,
       data_type::varchar(128) AS data_type, character_length::integer AS character_maximum_length,
       numeric_precision::integer AS numeric_precision,
       (CASE WHEN numeric_precision IS NULL THEN NULL WHEN data_type = 'numeric' THEN 10 ELSE 2 END)::integer AS numeric_precision_radix,
       numeric_scale::integer AS numeric_scale,
       (CASE WHEN data_type LIKE 'timestamp%' OR data_type LIKE 'time%' THEN 6 END)::integer AS datetime_precision,
       NULL::varchar AS interval_type, NULL::varchar AS interval_precision,
       NULL::varchar AS character_set_catalog, NULL::varchar AS character_set_schema,
       NULL::varchar AS character_set_name, NULL::varchar AS collation_catalog,
       NULL::varchar AS collation_schema, NULL::varchar AS collation_name,
       NULL::varchar AS domain_name,
       pg_catalog.col_description(relid, attnum) AS remarks
FROM pg_catalog.sandbox_columns;

CREATE OR REPLACE VIEW pg_catalog.svv_redshift_tables AS
SELECT table_catalog AS database_name, table_schema AS schema_name, table_name,
       (CASE table_type WHEN 'BASE TABLE' THEN 'TABLE' ELSE table_type END)::varchar(128) AS table_type,
       NULL::varchar AS table_acl, remarks
FROM pg_catalog.svv_tables;
CREATE OR REPLACE VIEW pg_catalog.svv_all_tables AS
SELECT database_name, schema_name, table_name, table_type, table_acl, remarks
FROM pg_catalog.svv_redshift_tables;

CREATE OR REPLACE VIEW pg_catalog.svv_redshift_columns AS
SELECT current_database()::varchar(128) AS database_name, nspname::varchar(128) AS schema_name,
       relname::varchar(128) AS table_name, attname::varchar(128) AS column_name,
       attnum::integer AS ordinal_position, full_type::varchar(128) AS data_type,
       column_default::varchar AS column_default,
       (CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END)::varchar(3) AS is_nullable,
       encoding::varchar(128) AS encoding, distkey, sortkey::integer AS sortkey,
       NULL::varchar AS column_acl, pg_catalog.col_description(relid, attnum) AS remarks
FROM pg_catalog.sandbox_columns;
CREATE OR REPLACE VIEW pg_catalog.svv_all_columns AS
SELECT database_name, schema_name, table_name, column_name, ordinal_position, column_default,
       is_nullable, data_type, remarks
FROM pg_catalog.svv_redshift_columns;

-- As in Redshift: only tables of schemas in search_path.
CREATE OR REPLACE VIEW pg_catalog.pg_table_def AS
SELECT nspname AS schemaname, relname AS tablename, attname AS "column", full_type AS type,
       encoding::varchar(32) AS encoding, distkey, sortkey::integer AS sortkey, attnotnull AS "notnull"
FROM pg_catalog.sandbox_columns
WHERE relkind = 'r' AND nspname = ANY (pg_catalog.current_schemas(true));

CREATE OR REPLACE VIEW pg_catalog.svv_table_info AS
SELECT current_database()::varchar(128) AS database, n.nspname::varchar(128) AS schema,
       t.oid AS table_id, t.relname::varchar(128) AS "table", 'Y'::varchar AS encoded,
       (CASE WHEN dist.setting IS NULL THEN 'AUTO(ALL)'
             WHEN dist.setting = 'KEY' THEN 'KEY(' || (
                 SELECT a.attname FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = t.oid AND a.attnum = dist.conkey[1]) || ')'
             ELSE dist.setting END)::varchar AS diststyle,
       (CASE WHEN sort.setting IS NULL OR sort.setting = 'AUTO' THEN 'AUTO(SORTKEY)'
             ELSE (SELECT a.attname FROM pg_catalog.pg_attribute AS a
                   WHERE a.attrelid = t.oid AND a.attnum = sort.conkey[1]) END)::varchar AS sortkey1,
       (SELECT max(a.atttypmod - 4) FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = t.oid AND a.attnum > 0 AND a.atttypid = 'varchar'::regtype)::integer AS max_varchar,
       NULL::varchar AS sortkey1_enc,
       coalesce(cardinality(sort.conkey), 0)::integer AS sortkey_num,
       ceil(pg_catalog.pg_total_relation_size(t.oid) / 1048576.0)::bigint AS size,
       NULL::numeric AS pct_used, 0::numeric AS empty, 0::numeric(5, 2) AS unsorted,
       (CASE WHEN t.reltuples < 0 THEN 100 ELSE 0 END)::numeric(5, 2) AS stats_off,
       greatest(t.reltuples, 0)::numeric(38, 0) AS tbl_rows, NULL::numeric AS skew_sortkey1,
       NULL::numeric AS skew_rows, greatest(t.reltuples, 0)::numeric(38, 0) AS estimated_visible_rows
FROM pg_catalog.pg_class AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.sandbox_table_attributes AS dist ON dist.conrelid = t.oid AND dist.attribute = 'dist'
LEFT JOIN pg_catalog.sandbox_table_attributes AS sort ON sort.conrelid = t.oid AND sort.attribute = 'sort'
WHERE t.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'sandbox_internal', 'pg_toast')
  AND (pg_catalog.pg_has_role(t.relowner, 'USAGE') OR pg_catalog.has_table_privilege(t.oid, 'SELECT'));

-- Declared keys, which are not enforced, for information_schema.
CREATE OR REPLACE VIEW pg_catalog.sandbox_declared_keys AS
SELECT n.nspname, t.relname, a.conrelid, a.conname, a.conkey,
       CASE WHEN a.setting LIKE 'foreign key:%' THEN 'FOREIGN KEY' ELSE upper(a.setting) END AS constraint_type,
       substr(a.setting, length('foreign key:') + 1) AS referenced
FROM pg_catalog.sandbox_table_attributes AS a
JOIN pg_catalog.pg_class AS t ON t.oid = a.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace
WHERE a.attribute = 'key'
  AND (pg_catalog.pg_has_role(t.relowner, 'USAGE') OR pg_catalog.has_table_privilege(t.oid, 'SELECT'));

CREATE OR REPLACE VIEW information_schema.table_constraints AS
SELECT current_database()::information_schema.sql_identifier AS constraint_catalog,
       nspname::information_schema.sql_identifier AS constraint_schema,
       conname::information_schema.sql_identifier AS constraint_name,
       current_database()::information_schema.sql_identifier AS table_catalog,
       nspname::information_schema.sql_identifier AS table_schema,
       relname::information_schema.sql_identifier AS table_name,
       constraint_type::information_schema.character_data AS constraint_type,
       'NO'::information_schema.yes_or_no AS is_deferrable,
       'NO'::information_schema.yes_or_no AS initially_deferred,
       'NO'::information_schema.yes_or_no AS enforced,
       NULL::information_schema.yes_or_no AS nulls_distinct
FROM pg_catalog.sandbox_declared_keys;

CREATE OR REPLACE VIEW information_schema.key_column_usage AS
SELECT current_database()::information_schema.sql_identifier AS constraint_catalog,
       k.nspname::information_schema.sql_identifier AS constraint_schema,
       k.conname::information_schema.sql_identifier AS constraint_name,
       current_database()::information_schema.sql_identifier AS table_catalog,
       k.nspname::information_schema.sql_identifier AS table_schema,
       k.relname::information_schema.sql_identifier AS table_name,
       a.attname::information_schema.sql_identifier AS column_name,
       place.n::information_schema.cardinal_number AS ordinal_position,
       NULL::information_schema.cardinal_number AS position_in_unique_constraint
FROM pg_catalog.sandbox_declared_keys AS k
CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS place(attnum, n)
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = place.attnum;

-- Histories of COPY, UNLOAD and all statements. The server writes them; a rollback does not remove them.
CREATE OR REPLACE VIEW pg_catalog.stl_load_errors AS
SELECT u.oid::integer AS userid, 0 AS slice, e.table_id::integer AS tbl, e.start_time AS starttime,
       e.session_id AS session, e.query_id::integer AS query, e.file_name::char(256) AS filename,
       e.line_number, e.column_name::char(127) AS colname, e.column_type::char(10) AS type,
       e.column_length::char(10) AS col_length, e.position, left(e.raw_line, 1024)::char(1024) AS raw_line,
       left(e.raw_field_value, 1024)::char(1024) AS raw_field_value, e.error_code AS err_code,
       e.error_reason::char(100) AS err_reason
FROM sandbox_internal.load_errors AS e
LEFT JOIN pg_catalog.pg_roles AS u ON u.rolname = e.user_name
WHERE pg_catalog.sandbox_may_see(e.user_name);

CREATE OR REPLACE VIEW pg_catalog.sys_load_error_detail AS
SELECT u.oid::integer AS user_id, e.query_id, 0::bigint AS transaction_id, e.session_id,
       e.database_name::char(64) AS database_name, e.table_id::integer AS table_id,
       e.start_time, e.file_name::char(256) AS file_name, e.line_number,
       e.column_name::char(127) AS column_name, e.column_type::char(10) AS column_type,
       e.column_length::char(10) AS column_length, e.position,
       e.error_code::integer AS error_code, e.error_reason::char(512) AS error_message
FROM sandbox_internal.load_errors AS e
LEFT JOIN pg_catalog.pg_roles AS u ON u.rolname = e.user_name
WHERE pg_catalog.sandbox_may_see(e.user_name);

CREATE OR REPLACE VIEW pg_catalog.sys_load_history AS
SELECT u.oid::integer AS user_id, h.query_id, 0::bigint AS transaction_id, h.session_id,
       h.database_name, h.status, h.table_name, h.start_time, h.end_time,
       (extract(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS duration,
       h.data_source, h.file_format, h.loaded_rows, h.loaded_bytes, h.source_file_count,
       h.loaded_bytes AS source_file_bytes, h.source_file_count AS file_count_scanned,
       h.loaded_bytes AS file_bytes_scanned, h.error_count
FROM sandbox_internal.load_history AS h
LEFT JOIN pg_catalog.pg_roles AS u ON u.rolname = h.user_name
WHERE pg_catalog.sandbox_may_see(h.user_name);

CREATE OR REPLACE VIEW pg_catalog.sys_unload_history AS
SELECT u.oid::integer AS user_id, h.query_id, 0::bigint AS transaction_id, h.session_id,
       h.database_name, h.status, h.start_time, h.end_time,
       (extract(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS duration,
       h.file_format, 'none'::text AS compression_type, h.location AS unload_location,
       h.unloaded_rows, h.unloaded_files_count, h.unloaded_files_size, NULL::text AS error_message
FROM sandbox_internal.unload_history AS h
LEFT JOIN pg_catalog.pg_roles AS u ON u.rolname = h.user_name
WHERE pg_catalog.sandbox_may_see(h.user_name);

CREATE OR REPLACE VIEW pg_catalog.sys_query_history AS
SELECT u.oid::integer AS user_id, h.query_id, ''::text AS query_label,
       coalesce(h.transaction_id, 0) AS transaction_id, h.session_id, h.database_name,
       h.query_type, h.status, false AS result_cache_hit, h.start_time, h.end_time,
       (extract(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS elapsed_time,
       0::bigint AS queue_time,
       (extract(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS execution_time,
       h.error_message, coalesce(h.returned_rows, 0) AS returned_rows, h.query_text, h.user_name AS username
FROM sandbox_internal.query_history AS h
LEFT JOIN pg_catalog.pg_roles AS u ON u.rolname = h.user_name
WHERE pg_catalog.sandbox_may_see(h.user_name);

-- There are no prepared transactions. Drivers read this view before tpc_commit.
CREATE OR REPLACE VIEW pg_catalog.stl_undone AS
SELECT 0 AS userid, NULL::bigint AS xact_id, NULL::bigint AS xact_id_undone, NULL::timestamp AS undo_start_ts
WHERE false;

DO $do$
DECLARE
    v text;
BEGIN
    FOR v IN
        SELECT c.relname FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'v'
          AND (c.relname ~ '^(svv_|stl_|sys_|sandbox_)' OR c.relname = 'pg_table_def')
    LOOP
        EXECUTE format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', v);
    END LOOP;
END
$do$;
