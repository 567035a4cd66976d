-- The customers of every day, one row per customer and day.
CREATE TABLE IF NOT EXISTS public.customers_f (
    customer_no    VARCHAR(12) NOT NULL,
    name           VARCHAR(100) NOT NULL,
    city           VARCHAR(60),
    born           DATE,
    discount       DOUBLE PRECISION,
    active         BOOLEAN NOT NULL,
    partition_date DATE NOT NULL,
    loaded_at      TIMESTAMP NOT NULL,
    PRIMARY KEY (partition_date, customer_no)
)
DISTSTYLE KEY
DISTKEY (customer_no)
COMPOUND SORTKEY (partition_date, customer_no);
