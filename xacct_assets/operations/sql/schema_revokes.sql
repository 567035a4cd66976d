-- Takes back what the pipeline's database user may do in one schema. A user with rights cannot be
-- dropped.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {user};
REVOKE ALL ON ALL PROCEDURES IN SCHEMA {schema} FROM {user};
REVOKE ALL ON SCHEMA {schema} FROM {user};
