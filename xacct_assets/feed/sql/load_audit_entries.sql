-- The last committed load of each day. Parameters: feed, first and last day.
SELECT partition_date, load_id, rows_loaded, loaded_at, transformed_at
FROM {load_audit}
WHERE feed = %s AND partition_date BETWEEN %s AND %s
