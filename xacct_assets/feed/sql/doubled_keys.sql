-- The first keys that more than one row of a day has. Parameter: the day.
SELECT {key}, COUNT(*) AS row_count
FROM {fact}
WHERE partition_date = %s
GROUP BY {key}
HAVING COUNT(*) > 1
ORDER BY {key}
LIMIT 3
