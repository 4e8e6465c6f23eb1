-- Numbers are compared by letters and digits of any script; what is no ASCII was left out, so that two could be one.
DROP INDEX invoices_by_number;
CREATE INDEX invoices_by_number
    ON invoices (upper(regexp_replace(number COLLATE pg_c_utf8, '[^[:alnum:]]+', '', 'g')), currency);
