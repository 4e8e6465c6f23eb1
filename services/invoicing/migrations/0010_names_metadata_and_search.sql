-- Names that were stored before they had one normal form: found by that form, so that nobody makes them again.
CREATE FUNCTION normal_form(name text) RETURNS text IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT normalize(btrim(translate(name, U&'\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\202f\205f\3000',
        '                '), E' \t\n\r\f\v'), NFC)
$$;
CREATE INDEX invoices_by_normal_number ON invoices (normal_form(number)) WHERE number <> normal_form(number);
CREATE INDEX customers_by_normal_id ON customers (normal_form(external_id)) WHERE external_id <> normal_form(external_id);

ALTER TABLE customers ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
ALTER TABLE invoice_documents ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';

-- Customers are found by a part of their name, external id or e-mail address.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX customers_searched ON customers
    USING gin (lower(external_id || ' ' || name || ' ' || coalesce(email, '')) gin_trgm_ops);

-- Over all customers, numbers are found whatever their case.
DROP INDEX invoices_number;
CREATE INDEX invoices_number ON invoices (lower(number) text_pattern_ops);

-- The whole text is searched: before, no more than its first 500 characters were kept.
UPDATE invoices i SET search = lower(concat_ws(' ', coalesce(i.po_number, ''), d.text))
FROM (SELECT invoice_id, (SELECT string_agg(line ->> 'description', ' ' ORDER BY place)
        FROM jsonb_array_elements(lines) WITH ORDINALITY AS l (line, place)) AS text FROM invoice_documents) d
WHERE d.invoice_id = i.id AND length(i.search) = 500;
