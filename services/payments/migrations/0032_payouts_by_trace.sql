-- A bank's line tells the trace of a payout, be its amount the payout's or not: looked up as it is compared.
CREATE INDEX payouts_by_trace ON payouts (upper(regexp_replace(trace COLLATE pg_c_utf8, '[^[:alnum:]]+', '', 'g')))
    WHERE trace IS NOT NULL;
