-- Which of a feed's tables and procedure exist.
-- Parameters: schema and name of the three tables, then of the procedure.
SELECT 'table' AS kind, CAST(n.nspname AS VARCHAR) AS schema_name, CAST(c.relname AS VARCHAR) AS name
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE (n.nspname = %s AND c.relname = %s)
    OR (n.nspname = %s AND c.relname = %s)
    OR (n.nspname = %s AND c.relname = %s)
UNION
SELECT 'procedure', CAST(n.nspname AS VARCHAR), CAST(p.proname AS VARCHAR)
FROM pg_proc AS p
INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
WHERE n.nspname = %s AND p.proname = %s
