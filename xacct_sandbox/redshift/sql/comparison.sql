-- Trailing blanks do not count when character values are compared, those of VARCHAR included:
-- in =, <, IN, joins, GROUP BY, DISTINCT, ORDER BY, MIN, MAX. LENGTH and LIKE see them.
-- Source: Redshift documentation, "Character types", "Significance of trailing blanks".
--
-- PostgreSQL compares bpchar (CHAR) in this way and varchar, as text, byte for byte. Both types have
-- the same representation, so the operators, indexes, hashes and aggregates of text are given the
-- functions of bpchar. Run as a superuser; sessions that are open keep some of the old functions.

SET LOCAL allow_system_table_mods = on;

UPDATE pg_catalog.pg_operator AS o SET oprcode = f.of_bpchar::regproc
FROM (VALUES ('=', 'bpchareq'), ('<>', 'bpcharne'), ('<', 'bpcharlt'), ('<=', 'bpcharle'),
             ('>', 'bpchargt'), ('>=', 'bpcharge')) AS f (operator, of_bpchar)
WHERE o.oprname = f.operator AND o.oprnamespace = 'pg_catalog'::regnamespace
  AND o.oprleft = 'text'::regtype AND o.oprright = 'text'::regtype;

-- Order (1), sorting with abbreviated keys (2), hashes (1, 2).
UPDATE pg_catalog.pg_amproc AS p SET amproc = f.of_bpchar::regproc
FROM (VALUES ('btree', 1, 'bpcharcmp'), ('btree', 2, 'bpchar_sortsupport'),
             ('hash', 1, 'hashbpchar'), ('hash', 2, 'hashbpcharextended'))
         AS f (method, number, of_bpchar),
     pg_catalog.pg_opfamily AS family, pg_catalog.pg_am AS am
WHERE family.opfname = 'text_ops' AND am.oid = family.opfmethod AND am.amname = f.method
  AND p.amprocfamily = family.oid AND p.amprocnum = f.number
  AND p.amproclefttype = 'text'::regtype AND p.amprocrighttype = 'text'::regtype;

-- Equal values need no longer have equal bytes (4, "equalimage").
DELETE FROM pg_catalog.pg_amproc AS p
USING pg_catalog.pg_opfamily AS family, pg_catalog.pg_am AS am
WHERE family.opfname = 'text_ops' AND am.oid = family.opfmethod AND am.amname = 'btree'
  AND p.amprocfamily = family.oid AND p.amprocnum = 4
  AND p.amproclefttype = 'text'::regtype AND p.amprocrighttype = 'text'::regtype;

UPDATE pg_catalog.pg_aggregate AS a
SET aggtransfn = f.of_bpchar::regproc, aggcombinefn = f.of_bpchar::regproc
FROM (VALUES ('pg_catalog.max(text)', 'bpchar_larger'), ('pg_catalog.min(text)', 'bpchar_smaller'))
         AS f (aggregate, of_bpchar)
WHERE a.aggfnoid = f.aggregate::regprocedure;

SET LOCAL allow_system_table_mods = off;
