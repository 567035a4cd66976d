-- Staged rows of each transformed day. Parameters: feed, first and last day.
SELECT partition_date, COUNT(*)
FROM {staging}
WHERE partition_date IN (
    SELECT partition_date
    FROM {load_audit}
    WHERE feed = %s AND partition_date BETWEEN %s AND %s AND transformed_at IS NOT NULL
)
GROUP BY partition_date
