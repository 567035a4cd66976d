-- Rows of the days that are being loaded; a day is deleted once it is in customers_f.
CREATE TABLE IF NOT EXISTS public.customers (
    customer_no    VARCHAR(12) NOT NULL,
    name           VARCHAR(100) NOT NULL,
    city           VARCHAR(60),
    born           DATE,
    discount       DOUBLE PRECISION,
    active         BOOLEAN NOT NULL,
    partition_date DATE NOT NULL
)
DISTSTYLE EVEN
SORTKEY (partition_date);
