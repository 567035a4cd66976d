-- One row per feed and day: the last load that was committed, and whether it was transformed yet.
-- It is written in the transaction of the load, so it can never speak of rows that are not there.
-- Small and looked up by day: a copy on every node (ALL) costs nothing and joins without moving rows.
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
