-- What the database user of the orchestrator may do with one feed: what a run needs besides its load
-- job, and no more. A procedure runs with the rights of its caller.
GRANT USAGE ON SCHEMA {staging_schema} TO {user};
GRANT USAGE ON SCHEMA {fact_schema} TO {user};
GRANT USAGE ON SCHEMA {load_audit_schema} TO {user};
GRANT USAGE ON SCHEMA {procedure_schema} TO {user};
GRANT SELECT, DELETE ON {staging} TO {user};
GRANT SELECT, INSERT, DELETE ON {fact} TO {user};
GRANT SELECT, UPDATE ON {load_audit} TO {user};
GRANT USAGE ON SCHEMA {migrations_schema} TO {user};
GRANT SELECT ON {migrations} TO {user};
GRANT EXECUTE ON PROCEDURE {procedure}(DATE, DATE) TO {user};
