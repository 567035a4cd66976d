-- Days with a load audit entry, staged rows or fact rows. Parameter: feed.
SELECT partition_date FROM {load_audit} WHERE feed = %s
UNION
SELECT partition_date FROM {fact}
UNION
SELECT partition_date FROM {staging}
