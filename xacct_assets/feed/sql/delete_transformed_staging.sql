-- Delete the staged rows of transformed days. Parameters: feed, first and last day.
DELETE FROM {staging}
WHERE partition_date IN (
    SELECT partition_date
    FROM {load_audit}
    WHERE feed = %s AND partition_date BETWEEN %s AND %s AND transformed_at IS NOT NULL
)
