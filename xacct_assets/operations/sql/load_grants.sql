-- What the database user of the load job may do with one feed: what a load needs, and no more.
-- Glue's connector sends CREATE TABLE IF NOT EXISTS before every COPY. Redshift asks for CREATE on the
-- schema also if the table exists.
GRANT USAGE, CREATE ON SCHEMA {staging_schema} TO {user};
GRANT USAGE ON SCHEMA {load_audit_schema} TO {user};
GRANT SELECT, INSERT, DELETE ON {staging} TO {user};
GRANT SELECT, INSERT, DELETE ON {load_audit} TO {user};
