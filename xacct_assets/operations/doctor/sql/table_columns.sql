-- The columns of a feed's tables, and whether the caller may use the tables.
-- Parameters: schema and name of each of the three tables.
SELECT
    CAST(n.nspname AS VARCHAR) AS schema_name,
    CAST(c.relname AS VARCHAR) AS table_name,
    CAST(a.attname AS VARCHAR) AS column_name,
    CAST(format_type(a.atttypid, a.atttypmod) AS VARCHAR) AS type_name,
    a.attnotnull AS is_required,
    a.atthasdef AS has_default
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON a.attrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE a.attnum > 0
    AND NOT a.attisdropped
    AND (
        (n.nspname = %s AND c.relname = %s)
        OR (n.nspname = %s AND c.relname = %s)
        OR (n.nspname = %s AND c.relname = %s)
    )
ORDER BY c.relname, a.attnum
