-- One row per feed and day: the last committed load, and whether it was transformed.
-- Written in the transaction of the load, so that it always matches the staged rows.
-- Small: with a copy on every node (ALL), joins move no rows.
CREATE TABLE IF NOT EXISTS public.xacct_load_audit (
    feed           VARCHAR(128) NOT NULL,
    partition_date DATE         NOT NULL,
    load_id        VARCHAR(64)  NOT NULL,
    rows_loaded    BIGINT       NOT NULL,
    loaded_at      TIMESTAMP    NOT NULL,
    transformed_at TIMESTAMP,
    PRIMARY KEY (feed, partition_date)
)
DISTSTYLE ALL
SORTKEY (partition_date);
