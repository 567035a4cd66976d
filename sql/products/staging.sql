-- Written by `xacct feed sql products` from the feed's defs.yaml.
-- Rows of the days that are being loaded; a day is deleted once it is in products_f.
-- EVEN: COPY spreads any day over all slices. Sorted by day: a day is deleted without a full scan.
CREATE TABLE IF NOT EXISTS public.products (
    id             BIGINT         NOT NULL,
    name           VARCHAR(256)   NOT NULL,
    category       VARCHAR(64)    NOT NULL,
    brand          VARCHAR(128),
    price          DECIMAL(12, 2) NOT NULL,
    currency       VARCHAR(3)     NOT NULL,
    stock          INTEGER,
    description    VARCHAR(4096),
    updated_at     TIMESTAMP      NOT NULL,
    partition_date DATE           NOT NULL
)
DISTSTYLE EVEN
SORTKEY (partition_date);
