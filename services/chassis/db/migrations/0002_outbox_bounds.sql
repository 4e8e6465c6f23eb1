-- With its payload (512 KiB at most) a message must stay below what the broker takes (1 MiB). Of what was written before,
-- the parts that other systems could make as long as they liked are let go.
UPDATE outbox SET headers = (headers::jsonb - 'correlation' - 'causation' - 'traceparent')::text
WHERE octet_length(headers) > 8192;

-- `error`: the broker refused this very message. What its aggregate told later waits behind it.
ALTER TABLE outbox ADD CONSTRAINT outbox_headers_check CHECK (octet_length(headers) <= 8192), ADD COLUMN error text;
