-- Rows of each day. Parameters: first and last day.
SELECT partition_date, COUNT(*) AS row_count
FROM {table}
WHERE partition_date BETWEEN %s AND %s
GROUP BY partition_date
