-- Autopay by several methods: `currency_methods[i]` pays what is in `currencies[i]`, `method_id` all other currencies.
ALTER TABLE autopay ADD COLUMN currencies text[] NOT NULL DEFAULT '{}',
    ADD COLUMN currency_methods uuid[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT autopay_currencies CHECK (cardinality(currencies) = cardinality(currency_methods)),
    DROP CONSTRAINT autopay_check,
    ADD CONSTRAINT autopay_method CHECK (
        NOT enabled OR ((method_id IS NOT NULL OR cardinality(currencies) > 0) AND enabled_at IS NOT NULL));
CREATE INDEX autopay_by_currency_method ON autopay USING gin (currency_methods) WITH (fastupdate = off) WHERE enabled;
