-- Written by `xacct feed sql {feed}` from the feed's defs.yaml.
-- The newest day of {fact_name}, which is sorted by day: it is read without a full scan.
CREATE OR REPLACE VIEW {latest} AS
SELECT
{columns}
FROM {fact}
WHERE partition_date = (SELECT MAX(partition_date) FROM {fact});
