-- Written by `xacct feed sql customers` from the feed's defs.yaml.
-- The newest day of customers_f, which is sorted by day: it is read without a full scan.
CREATE OR REPLACE VIEW public.customers_latest AS
SELECT
    customer_no, name, city, born, discount, active, partition_date, loaded_at
FROM public.customers_f
WHERE partition_date = (SELECT MAX(partition_date) FROM public.customers_f);
