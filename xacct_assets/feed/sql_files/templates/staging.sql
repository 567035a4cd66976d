-- Written by `xacct feed sql {feed}` from the feed's defs.yaml.
-- Rows of the days that are being loaded; a day is deleted once it is in {fact_name}.
-- EVEN: COPY spreads any day over all slices. Sorted by day: a day is deleted without a full scan.
CREATE TABLE IF NOT EXISTS {staging} (
{columns}
)
DISTSTYLE EVEN
SORTKEY (partition_date);
