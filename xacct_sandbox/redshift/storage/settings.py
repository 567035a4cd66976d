"""The settings of the embedded PostgreSQL (``postgresql.conf``).

Durability: ``fsync`` is off, ``synchronous_commit`` and ``full_page_writes`` are on. A commit is
then written to the operating system before it is acknowledged, so it survives kill -9 of every
process of the sandbox. Only a crash of the machine may lose it, which a development sandbox
accepts, because no commit then waits for a disk. With ``synchronous_commit=off`` acknowledged
commits would still be in the server's memory. ``full_page_writes`` is on because a kill may cut an
8 kB page write in two.

Passwords are checked by PostgreSQL with MD5 challenges, as Redshift sends them. Clients see them
over TLS only. redshift_connector 2.2.0 cannot read PostgreSQL's offer of SCRAM.
"""

from __future__ import annotations

SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "password_encryption": "md5",
    "md5_password_warnings": "off",
    # COPY and large scans use small ring buffers, so a load fills no more than this.
    "shared_buffers": "'96MB'",
    "work_mem": "'16MB'",
    "maintenance_work_mem": "'64MB'",
    "huge_pages": "off",
    "jit": "off",
    # Durability and speed: see the docstring of the module.
    "fsync": "off",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'512MB'",
    "min_wal_size": "'64MB'",
    "wal_init_zero": "off",
    "checkpoint_timeout": "'15min'",
    # As in Redshift. Backslash escapes in literals come from PostgreSQL 8.0, its ancestor.
    "default_transaction_isolation": "'repeatable read'",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "backslash_quote": "on",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "datestyle": "'ISO, MDY'",
    "extra_float_digits": "1",
    # Statements may hold passwords (CREATE USER), so they are never written to the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_messages": "warning",
    "logging_collector": "off",
    "deadlock_timeout": "'1s'",
    "max_locks_per_transaction": "128",
}
