-- Rows and distinct keys of each day. Parameters: first and last day.
SELECT partition_date, SUM(row_count) AS row_count, COUNT(*) AS key_count
FROM (
    SELECT partition_date, COUNT(*) AS row_count
    FROM {fact}
    WHERE partition_date BETWEEN %s AND %s
    GROUP BY partition_date, {key}
) AS by_key
GROUP BY partition_date
