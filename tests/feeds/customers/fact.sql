-- Written by `xacct feed sql customers` from the feed's defs.yaml.
-- The full set of every day; one row per customer_no and day.
-- Distributed by customer_no: joins by it stay on a node.
-- Sorted by day: replace, UNLOAD and range queries read only the blocks of their days.
CREATE TABLE IF NOT EXISTS public.customers_f (
    customer_no    VARCHAR(12)  NOT NULL,
    name           VARCHAR(100) NOT NULL,
    city           VARCHAR(60),
    born           DATE,
    discount       DOUBLE PRECISION,
    active         BOOLEAN      NOT NULL,
    partition_date DATE         NOT NULL,
    loaded_at      TIMESTAMP    NOT NULL,
    PRIMARY KEY (partition_date, customer_no)
)
DISTSTYLE KEY
DISTKEY (customer_no)
COMPOUND SORTKEY (partition_date, customer_no);
