-- Written by `xacct feed sql orders` from the feed's defs.yaml.
-- Rows of the days that are being loaded; a day is deleted once it is in orders_f.
-- EVEN: COPY spreads any day over all slices. Sorted by day: a day is deleted without a full scan.
CREATE TABLE IF NOT EXISTS public.orders (
    order_id       BIGINT         NOT NULL,
    line_no        SMALLINT       NOT NULL,
    sku            VARCHAR(64)    NOT NULL,
    quantity       INTEGER        NOT NULL,
    amount         DECIMAL(14, 2) NOT NULL,
    gift           BOOLEAN,
    note           VARCHAR(200),
    ordered_at     TIMESTAMP      NOT NULL,
    partition_date DATE           NOT NULL
)
DISTSTYLE EVEN
SORTKEY (partition_date);
