-- One row per feed and migration: which changes of the feeds' tables were applied, and what they
-- changed. Written in the transaction of the change. Small: with a copy on every node (ALL).
CREATE TABLE IF NOT EXISTS public.xacct_migrations (
    feed        VARCHAR(128)  NOT NULL,
    migration   VARCHAR(256)  NOT NULL,
    description VARCHAR(8192) NOT NULL,
    applied_at  TIMESTAMP     NOT NULL,
    PRIMARY KEY (feed, migration)
)
DISTSTYLE ALL
SORTKEY (applied_at);
