-- Written by `xacct feed sql products` from the feed's defs.yaml; without this line it is its own.
-- Replaces the days from_day..to_day of products_f with their staged rows.
-- Only days whose load was not transformed yet are changed: a second call, also after staging was
-- emptied, changes nothing. One call is one transaction (DELETE, because TRUNCATE commits).
CREATE OR REPLACE PROCEDURE public.sp_products(from_day IN DATE, to_day IN DATE)
AS $$
DECLARE
    expected BIGINT;
    staged   BIGINT;
BEGIN
    IF from_day IS NULL OR to_day IS NULL OR from_day > to_day THEN
        RAISE EXCEPTION 'sp_products: from_day % and to_day % are not a range of days', from_day, to_day;
    END IF;

    SELECT COALESCE(SUM(rows_loaded), 0) INTO expected
    FROM public.xacct_load_audit
    WHERE feed = 'products' AND partition_date BETWEEN from_day AND to_day AND transformed_at IS NULL;

    SELECT COUNT(*) INTO staged
    FROM public.products AS s
    JOIN public.xacct_load_audit AS l ON l.feed = 'products' AND l.partition_date = s.partition_date
    WHERE s.partition_date BETWEEN from_day AND to_day AND l.transformed_at IS NULL;

    IF staged <> expected THEN
        RAISE EXCEPTION 'sp_products: staging holds % rows of % to %, but % were loaded; load these days again',
            staged, from_day, to_day, expected;
    END IF;

    DELETE FROM public.products_f
    WHERE partition_date IN (
        SELECT partition_date FROM public.xacct_load_audit
        WHERE feed = 'products' AND partition_date BETWEEN from_day AND to_day AND transformed_at IS NULL
    );

    INSERT INTO public.products_f (
        id, name, category, brand, price, currency, stock, description, updated_at,
        partition_date, loaded_at
    )
    SELECT
        s.id, s.name, s.category, s.brand, s.price, s.currency, s.stock, s.description, s.updated_at,
        s.partition_date, l.loaded_at
    FROM public.products AS s
    JOIN public.xacct_load_audit AS l ON l.feed = 'products' AND l.partition_date = s.partition_date
    WHERE s.partition_date BETWEEN from_day AND to_day AND l.transformed_at IS NULL;

    UPDATE public.xacct_load_audit
    SET transformed_at = GETDATE()
    WHERE feed = 'products' AND partition_date BETWEEN from_day AND to_day AND transformed_at IS NULL;
END;
$$ LANGUAGE plpgsql;
