-- The parameters of every procedure of a name.
-- Parameters: schema and name.
SELECT CAST(oidvectortypes(p.proargtypes) AS VARCHAR) AS parameters
FROM pg_proc AS p
INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
WHERE n.nspname = %s AND p.proname = %s
