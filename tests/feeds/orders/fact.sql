-- Written by `xacct feed sql orders` from the feed's defs.yaml.
-- The new rows of every day; one row per order_id, line_no and day.
-- Distributed by order_id: joins by it stay on a node.
-- Sorted by day: replace, UNLOAD and range queries read only the blocks of their days.
CREATE TABLE IF NOT EXISTS public.orders_f (
    order_id       BIGINT         NOT NULL,
    line_no        SMALLINT       NOT NULL,
    sku            VARCHAR(64)    NOT NULL,
    quantity       INTEGER        NOT NULL,
    amount         DECIMAL(14, 2) NOT NULL,
    gift           BOOLEAN,
    note           VARCHAR(200),
    ordered_at     TIMESTAMP      NOT NULL,
    partition_date DATE           NOT NULL,
    loaded_at      TIMESTAMP      NOT NULL,
    PRIMARY KEY (partition_date, order_id, line_no)
)
DISTSTYLE KEY
DISTKEY (order_id)
COMPOUND SORTKEY (partition_date, order_id);
