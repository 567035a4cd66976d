-- Written by `xacct feed sql customers` from the feed's defs.yaml.
-- Rows of the days that are being loaded; a day is deleted once it is in customers_f.
-- EVEN: COPY spreads any day over all slices. Sorted by day: a day is deleted without a full scan.
CREATE TABLE IF NOT EXISTS public.customers (
    customer_no    VARCHAR(12)  NOT NULL,
    name           VARCHAR(100) NOT NULL,
    city           VARCHAR(60),
    born           DATE,
    discount       DOUBLE PRECISION,
    active         BOOLEAN      NOT NULL,
    partition_date DATE         NOT NULL
)
DISTSTYLE EVEN
SORTKEY (partition_date);
