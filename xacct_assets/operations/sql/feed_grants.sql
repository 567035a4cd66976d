-- What the pipeline's database user may do with one feed: what a run needs, and no more.
-- Glue's connector sends CREATE TABLE IF NOT EXISTS before every COPY. Redshift asks for CREATE on the
-- schema also if the table exists.
GRANT USAGE, CREATE ON SCHEMA {staging_schema} TO {user};
GRANT USAGE ON SCHEMA {fact_schema} TO {user};
GRANT USAGE ON SCHEMA {load_audit_schema} TO {user};
GRANT USAGE ON SCHEMA {procedure_schema} TO {user};
GRANT SELECT, INSERT, DELETE ON {staging} TO {user};
GRANT SELECT, INSERT, DELETE ON {fact} TO {user};
GRANT SELECT, INSERT, UPDATE, DELETE ON {load_audit} TO {user};
GRANT USAGE ON SCHEMA {migrations_schema} TO {user};
GRANT SELECT ON {migrations} TO {user};
GRANT EXECUTE ON PROCEDURE {procedure}(DATE, DATE) TO {user};
