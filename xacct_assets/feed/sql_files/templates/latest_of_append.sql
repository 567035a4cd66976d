-- Written by `xacct feed sql {feed}` from the feed's defs.yaml.
-- The newest row of each {key} in {fact_name}. It reads all days.
CREATE OR REPLACE VIEW {latest} AS
SELECT
{columns}
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY partition_date DESC) AS newest_first
    FROM {fact}
) AS numbered
WHERE newest_first = 1;
