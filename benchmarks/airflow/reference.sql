-- The reference's tables and procedure, beside ours in the same warehouse.
CREATE TABLE IF NOT EXISTS public.reference_products (
    id          VARCHAR(64),
    name        VARCHAR(1024),
    category    VARCHAR(256),
    brand       VARCHAR(512),
    price       VARCHAR(64),
    currency    VARCHAR(64),
    stock       VARCHAR(64),
    description VARCHAR(16384),
    updated_at  VARCHAR(64),
    day         VARCHAR(10)
);

CREATE TABLE IF NOT EXISTS public.reference_products_f (
    id          VARCHAR(64),
    name        VARCHAR(1024),
    category    VARCHAR(256),
    brand       VARCHAR(512),
    price       VARCHAR(64),
    currency    VARCHAR(64),
    stock       VARCHAR(64),
    description VARCHAR(16384),
    updated_at  VARCHAR(64),
    day         VARCHAR(10)
);

CREATE OR REPLACE PROCEDURE public.sp_reference(of_day IN VARCHAR)
AS $$
BEGIN
    DELETE FROM public.reference_products_f WHERE day = of_day;
    INSERT INTO public.reference_products_f SELECT * FROM public.reference_products WHERE day = of_day;
END;
$$ LANGUAGE plpgsql;
