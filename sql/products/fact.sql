-- Written by `xacct feed sql products` from the feed's defs.yaml.
-- The full set of every day; one row per id and day.
-- Distributed by id: joins by it stay on a node.
-- Sorted by day: replace, UNLOAD and range queries read only the blocks of their days.
CREATE TABLE IF NOT EXISTS public.products_f (
    id             BIGINT         NOT NULL,
    name           VARCHAR(256)   NOT NULL,
    category       VARCHAR(64)    NOT NULL,
    brand          VARCHAR(128),
    price          DECIMAL(12, 2) NOT NULL,
    currency       VARCHAR(3)     NOT NULL,
    stock          INTEGER,
    description    VARCHAR(4096),
    updated_at     TIMESTAMP      NOT NULL,
    partition_date DATE           NOT NULL,
    loaded_at      TIMESTAMP      NOT NULL,
    PRIMARY KEY (partition_date, id)
)
DISTSTYLE KEY
DISTKEY (id)
COMPOUND SORTKEY (partition_date, id);
